"""Backups of the database, and the ways back. What each step does stands in writing, loading, exchanging, restoring.

database, tables    the server: connections, the lock, the catalog
places              where backups lie
sealing, streams    how they are packed and encrypted
manifests           what a backup says of itself
journal             what was done, in a schema that no restore replaces
"""
