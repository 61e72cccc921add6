import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.operations import selectors

SOUND, UNSOUND = 0, 1


class Command(BaseCommand):
    help = (
        "Ask the data whether they keep their promises, and write down what does not, with the table, the row and what "
        "to do about it. Changes nothing. Ends with 0 when everything is sound, else with 1."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="the same document as GET /api/v1/operations/integrity")

    def handle(self, *args: Any, **options: Any) -> None:
        found = selectors.integrity()
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2))
        else:
            self._write(found)
        raise SystemExit(SOUND if found["sound"] else UNSOUND)

    def _write(self, found: dict[str, Any]) -> None:
        for check in found["checks"]:
            self.stdout.write(f"{'sound' if check['sound'] else check['count']:>6}  {check['name']}")
        for finding in found["findings"]:
            self.stdout.write(f"\n{finding['check']}: {finding['table']} {finding['id']}")
            self.stdout.write(f"  {finding['detail']}\n  {finding['remedy']}")
        more = sum(check["count"] for check in found["checks"]) - len(found["findings"])
        if more:
            self.stdout.write(f"\n… and {more} more.")
