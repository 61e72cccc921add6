from dataclasses import dataclass


@dataclass(kw_only=True, eq=False)
class Mismatch(Exception):
    """The deployment did not do what a check expects. Told as a report line, never as a traceback.

    `expected` and `came` are complete phrases; `request_id` is that of the answer that disappointed, if any.
    `broken`: what hindered the check lies on this machine, so that nothing is said about the deployment.
    """

    expected: str
    came: str
    request_id: str | None = None
    next_step: str | None = None
    broken: bool = False

    def __str__(self) -> str:
        return f"expected {self.expected}; came {self.came}"


def expect(condition: bool, *, expected: str, came: str, request_id: str | None = None) -> None:
    """Raise Mismatch unless `condition` holds."""
    if not condition:
        raise Mismatch(expected=expected, came=came, request_id=request_id)
