"""Small shell for the scripts of tests, so that a fake container really does something.

Statements end at a newline or ``;``: ``echo``, ``printf``, ``cat``, ``rm``, ``mkdir``, ``sleep``,
``trap '' TERM``, ``exit``, ``true``, ``false``, with ``> FILE`` and ``>&2``; and
``tail /dev/zero``, which no memory limit survives.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Awaitable, Callable
from typing import Protocol

STDOUT, STDERR = 1, 2
_REDIRECTED = re.compile(r"\s*(?:>\s*(?P<file>/\S+)|(?P<error>>&2))\s*$")


class Exit(Exception):
    """The script ends."""

    def __init__(self, code: int, *, oom: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.oom = oom


class Machine(Protocol):
    """What a script can touch."""

    files: dict[str, bytes]
    ignores_term: bool

    def write_log(self, stream: int, data: bytes) -> None:
        """Write to a stream of the log."""


async def run(script: str, machine: Machine, sleep: Callable[[float], Awaitable[None]]) -> int:
    """Run a script and return its exit code.

    Raises
    ------
    Exit
        If it ends by itself before its last statement.
    """
    code = 0
    for line in script.replace(";", "\n").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            code = await _statement(line, machine, sleep)
    return code


async def _statement(line: str, machine: Machine, sleep: Callable[[float], Awaitable[None]]) -> int:
    redirected = _REDIRECTED.search(line)
    name, *words = shlex.split(line[: redirected.start()] if redirected else line)
    if name == "sleep":
        await sleep(float(words[0]))
        return 0
    output, code = _act(name, words, machine)
    if redirected and redirected["file"]:
        machine.files[redirected["file"]] = output
    elif output:
        machine.write_log(STDERR if redirected else STDOUT, output)
    return code


def _act(name: str, words: list[str], machine: Machine) -> tuple[bytes, int]:
    match name, words:
        case "echo", _:
            return (" ".join(words) + "\n").encode(), 0
        case "printf", [text]:
            return text.encode().decode("unicode_escape").encode("latin-1"), 0
        case "cat", [path]:
            return machine.files.get(path, b""), 0 if path in machine.files else 1
        case "rm", [path]:
            return b"", 0 if machine.files.pop(path, None) is not None else 1
        case "mkdir", [path]:
            machine.files[f"{path}/"] = b""
            return b"", 0
        case "trap", _:
            machine.ignores_term = True
            return b"", 0
        case "exit", [code]:
            raise Exit(int(code))
        case "tail", ["/dev/zero"]:
            raise Exit(137, oom=True)
        case ("true", _) | (":", _):
            return b"", 0
        case _:
            machine.write_log(STDERR, f"sh: {name}: not found\n".encode())
            return b"", 127
