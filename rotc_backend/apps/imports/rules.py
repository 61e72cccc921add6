"""Decisions about imports, in plain Python."""

CADETS, SCORES, ATTENDANCE = "cadets", "scores", "attendance"
KINDS = (CADETS, SCORES, ATTENDANCE)

QUEUED, RUNNING, READY = "queued", "running", "ready"
REFUSED, DONE, CANCELLED, FAILED = "refused", "done", "cancelled", "failed"
STATES = (QUEUED, RUNNING, READY, REFUSED, DONE, CANCELLED, FAILED)
# The others are ends: the file has been removed by then.
UNFINISHED = (QUEUED, RUNNING, READY)
