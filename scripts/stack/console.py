"""What a person sees of a running system, and the files in which it stays."""

import json
import os
import sys
import time
from collections import deque
from pathlib import Path
from typing import IO, Protocol

_LOG_FILE_BYTES = 5 * 1024 * 1024  # per file; one older file is kept beside it
_LINE_BYTES = 16 * 1024
_TAIL_LINES = 40
_COLOURS = ("36", "35", "33", "32", "34", "96", "95", "93")


class Console(Protocol):
    def say(self, text: str) -> None:
        """Something the runner has to tell."""

    def confide(self, text: str) -> None:
        """The same, for who started it alone: it holds passwords and goes into no file."""

    def show(self, *, name: str, line: str) -> None:
        """A line that a process wrote."""


class TerminalConsole:
    """Standard output: the runner's own lines, and those of the processes with their names in front."""

    def __init__(self, stream: IO[str] | None = None, *, names: tuple[str, ...] = ()) -> None:
        self._stream = stream or sys.stdout
        self._width = max(map(len, names), default=0)
        self._colours: dict[str, str] = {}
        self._is_coloured = self._stream.isatty() and "NO_COLOR" not in os.environ
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        for line in text.splitlines() or [""]:
            self._write(f"\x1b[1m{line}\x1b[0m" if self._is_coloured else line)

    confide = say

    def show(self, *, name: str, line: str) -> None:
        prefix = f"{name:<{self._width}} | "
        if self._is_coloured:
            colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        self._write(prefix + line)

    def _write(self, line: str) -> None:
        try:
            self._stream.write(f"{line}\n")
            self._stream.flush()
        except (BrokenPipeError, OSError):
            # The reader is gone (`| head`, a closed terminal). The log files still have everything.
            self._stream = open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process


class DetachedConsole:
    """Tells the waiting foreground command how the start goes; later lines go to the log only."""

    def __init__(self, *, channel: int, log: "BoundedLog") -> None:
        self._channel: int | None = channel
        self._log = log

    def say(self, text: str) -> None:
        for line in text.splitlines() or [""]:
            self._log.write(line)
            self._send({"line": line})

    def confide(self, text: str) -> None:
        for line in text.splitlines():
            self._send({"line": line})

    def show(self, *, name: str, line: str) -> None:
        """The process's own log file has it."""

    def finish(self, status: int) -> None:
        """The foreground command may return."""
        self._send({"status": status})
        if self._channel is not None:
            os.close(self._channel)
            self._channel = None

    def _send(self, message: dict[str, object]) -> None:
        if self._channel is None:
            return
        try:
            os.write(self._channel, (json.dumps(message) + "\n").encode())
        except BrokenPipeError:
            # The foreground command was killed; the start goes on, and `down` ends it.
            os.close(self._channel)
            self._channel = None


class BoundedLog:
    """A log file that starts anew with every start of the system and takes at most twice its bound."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._size = 0
        self._stream: IO[bytes] | None = None
        self._rotate()

    def write(self, line: str) -> None:
        self.tail.append(line)
        data = f"{line}\n".encode(errors="replace")
        if self._size + len(data) > _LOG_FILE_BYTES:
            self._rotate()
        if self._stream is not None:
            self._stream.write(data)
            self._size += len(data)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _rotate(self) -> None:
        self.close()
        if self._file.exists():
            self._file.replace(self._file.with_name(f"{self._file.name}.1"))
        self._stream = self._file.open("wb", buffering=0)
        self._size = 0


class LineSplitter:
    """Lines out of the pieces in which a pipe delivers them."""

    def __init__(self) -> None:
        self._rest = b""

    def lines(self, data: bytes) -> list[str]:
        *complete, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LINE_BYTES:  # a process that never ends its line must not fill our memory
            complete.append(self._rest)
            self._rest = b""
        return [line.decode(errors="replace").rstrip("\r") for line in complete]

    def last(self) -> list[str]:
        """What was written without a final line end."""
        rest, self._rest = self._rest, b""
        return [rest.decode(errors="replace")] if rest else []
