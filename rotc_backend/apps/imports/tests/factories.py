"""Files, runs, and a small kind of import of their own: companies by their names, to try the machinery alone."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from apps.accounts.models import User
from apps.accounts.rules import Principal
from apps.cadets.models import Company
from apps.cadets.tests import factories as cadets
from apps.imports.models import ImportFile, ImportRun, State
from apps.imports.services import performing
from apps.imports.services.kinds import ImportKind
from core.leases import Claim
from core.tables import CREATE, REFUSE, UNCHANGED, Column, Progress, Row, RowFate

COLUMNS = (Column(field="name", title="Name", required=True), Column(field="motto", title="Motto"))
NAMES = b"Name\nFoxtrot\nEcho\n"


def companies_import(
    run: ImportRun,
    actor: Principal,
    rows: Sequence[Row],
    dry_run: bool,
    progress: Progress,
) -> list[RowFate]:
    """Names that end in an exclamation mark are refused."""
    known = set(Company.objects.values_list("name", flat=True))
    fates = []
    for number, row in enumerate(rows, start=1):
        name = str(row.values.get("name", ""))
        if not name or name.endswith("!"):
            problem = row.problem("name", "name_odd", "Write a name.")
            fates.append(RowFate(sheet=row.sheet, row=row.row, fate=REFUSE, label=name, problems=(problem,)))
        else:
            fate = UNCHANGED if name in known else CREATE
            changes = {} if name in known else {"name": (None, name)}
            fates.append(RowFate(sheet=row.sheet, row=row.row, fate=fate, label=name, changes=changes))
        progress(number)
    if dry_run or any(one.fate == REFUSE for one in fates):
        return fates
    for number, judged in enumerate(fates, start=1):
        if judged.fate == CREATE:
            Company.objects.create(name=judged.label)
        progress(number)
    return fates


COMPANIES = {"cadets": ImportKind(columns=COLUMNS, import_rows=companies_import)}


class Pausing:
    """`companies_import` that, having written its rows, waits until it is told to go on, and then says so again."""

    def __init__(self) -> None:
        self.written = threading.Event()
        self.go_on = threading.Event()
        self.kinds = {"cadets": ImportKind(columns=COLUMNS, import_rows=self._import)}

    def _import(self, run: ImportRun, actor: Principal, rows: Any, dry_run: bool, progress: Progress) -> list[RowFate]:
        fates = companies_import(run, actor, rows, dry_run, progress)
        self.written.set()
        assert self.go_on.wait(20)
        progress(len(rows))
        return fates


def failing(error: Exception) -> dict[str, ImportKind]:
    """A kind whose importer writes, and then breaks off."""

    def importer(run: ImportRun, actor: Principal, rows: Any, dry_run: bool, progress: Progress) -> list[RowFate]:
        companies_import(run, actor, rows, dry_run, progress)
        raise error

    return {"cadets": ImportKind(columns=COLUMNS, import_rows=importer)}


def run(sender: User, content: bytes = NAMES, *, file_name: str = "companies.csv", **fields: Any) -> ImportRun:
    """A run that waits for the worker, without audit entry and message."""
    given = {"kind": "cadets", "dry_run": False, **fields}
    if given["kind"] != "attendance" and "term" not in given:
        given["term"] = cadets.term()
    row = ImportRun.objects.create(
        file_name=file_name, file_bytes=len(content), created_by=sender, asked_by=sender, **given
    )
    ImportFile.objects.create(run=row, content=content)
    row.refresh_from_db()
    return row


def claimed(row: ImportRun) -> Claim:
    claim = performing.run_claim(run_id=row.pk)
    assert claim is not None
    return claim


def performed(row: ImportRun, kinds: Any = COMPANIES) -> State:
    """The run done as a worker does it; `row` is as it is then."""
    state = performing.run_perform(claim=claimed(row), kinds=kinds)
    row.refresh_from_db()
    return state


def upload(content: bytes = NAMES, name: str = "companies.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def in_thread(work: Callable[[], Any]) -> Callable[[], Any]:
    """Start `work` with connections of its own; what is returned waits for its end and gives its result."""
    from django.db import connections

    found: list[Any] = []

    def carried() -> None:
        try:
            found.append(work())
        except Exception as error:  # noqa: BLE001 - the caller looks at it
            found.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=carried)
    thread.start()

    def end() -> Any:
        thread.join(30)
        assert not thread.is_alive()
        return found[0]

    return end
