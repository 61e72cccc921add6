"""How making and restoring a backup can end otherwise than well. The number is the scripts' exit code."""


class BackupError(Exception):
    """The text says what is wrong and what to do; it never holds a secret. Nothing has changed for the live data."""

    exit_code = 1


class Refused(BackupError):
    """What was asked for does not fit the state of things; the text names what to do or the option that overrides."""

    exit_code = 3


class DatabaseAway(Refused):
    """The server does not take the connection, which may pass, or an address is wrong."""


class Untrusted(BackupError):
    """The backup is not, byte for byte, what was once stored under the key at hand."""

    exit_code = 4


class Busy(BackupError):
    """Somebody else is at work: another backup or restore, or a transaction that holds the tables."""

    exit_code = 5


class Unfinished(BackupError):
    """The tables have been exchanged, and what belongs after it is not done. The same command does it."""

    exit_code = 6


class StoreAway(BackupError):
    """The place of the backups does not answer, or refuses."""
