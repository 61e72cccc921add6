"""Python processes of their own over the database of the running test."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from django.db import connection

SERVICE = Path(__file__).resolve().parent.parent.parent.parent


def database_url(*, port: int | None = None) -> str:
    """The URL of the test's database, through another port if one is given."""
    parts = connection.settings_dict
    account = f"{quote(parts['USER'])}:{quote(parts['PASSWORD'])}"
    return f"postgresql://{account}@{parts['HOST']}:{port or parts['PORT']}/{quote(parts['NAME'])}"


def python(program: str, *arguments: str, port: int | None = None) -> subprocess.Popen[str]:
    """Start `program`; it reads and writes lines through pipes. Its database is the test's."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={
            **os.environ,
            "DATABASE_URL": database_url(port=port),
            "PYTHONPATH": os.pathsep.join([str(SERVICE), str(SERVICE.parent), os.environ.get("PYTHONPATH", "")]),
        },
        cwd=SERVICE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
