"""This machine's own way to the deployment. What is wrong with it says nothing about the deployment."""

import errno
import socket
import ssl
from collections.abc import Iterator

# No route: the packet never left this machine's own network. A refusal or a time-out may be the deployment's.
NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH})


def obstacle(error: BaseException) -> str | None:
    """Why the deployment cannot be reached from here, in words; None if the error may be the deployment's own.

    Looks through everything that `error` was raised from, since HTTP and WebSocket libraries wrap it.
    """
    for cause in chain(error):
        if isinstance(cause, socket.gaierror):
            return f"the name does not resolve: {cause.strerror or cause}"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate is refused: {getattr(cause, 'verify_message', None) or cause}"
        if isinstance(cause, OSError) and cause.errno in NO_ROUTE:
            return f"there is no way to it: {cause.strerror}"
    return None


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that it was raised from."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        pending += [one.__cause__, one.__context__]
