"""The release of the service, as health and every heartbeat report it."""

VERSION = "1.2.0"
