"""What tab offers while the server is slow or away; with a server it is tested in a kernel."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from nds_jupyter.magics import completion as module
from nds_jupyter.magics.cell_source import CellSource
from nds_jupyter.magics.completion import LineCompleter
from nds_jupyter.magics.registry import line_parsers
from nds_jupyter.magics.session import MagicsSession
from nds_jupyter.magics.settings import NdsMagics


@pytest.fixture
def shell() -> InteractiveShell:
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    shell.user_ns["shelf"] = 1
    return shell


@pytest.fixture
def settings(shell: InteractiveShell) -> NdsMagics:
    return NdsMagics(shell)


@pytest.fixture
def completer(shell: InteractiveShell, settings: NdsMagics) -> LineCompleter:
    return LineCompleter(MagicsSession(shell, settings, CellSource(shell)), line_parsers())


@pytest.fixture
def silent_server(settings: NdsMagics) -> Iterator[None]:
    """Let the server be one that takes requests and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        settings.url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        yield


def texts(completer: LineCompleter, line: str) -> list[str]:
    return [each.text for each in completer.matches(line, 0, len(line))[0]]


@pytest.mark.usefixtures("silent_server")
def test_slow_server_is_not_waited_for(
    completer: LineCompleter, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Were it waited for, the test would not end.
    monkeypatch.setattr(module, "REQUEST_TIMEOUT", 3600.0)
    assert texts(completer, "%ndslogs ") == ["--tail", "--follow"]
    assert texts(completer, "%%ndsjob --image ") == []
    assert texts(completer, "%%ndsjob --in she") == ["shelf"]


def test_server_that_is_away_leaves_what_the_kernel_knows(
    completer: LineCompleter, settings: NdsMagics
) -> None:
    settings.url = "http://127.0.0.1:9/"
    assert texts(completer, "%ndslogs --") == ["--tail", "--follow"]
    assert texts(completer, "%ndslogs x") == []


@pytest.mark.parametrize(
    ("line", "fragment", "offered"),
    [
        ("%%ndsjob --netw", "--netw", ["--network"]),
        ("%%ndsjob --network b", "b", ["bridge"]),
        ("%%ndsjob --network=b", "b", ["bridge"]),
        ("%%ndsjob --detach --quie", "--quie", ["--quiet"]),
        ("  %ndsjobs --state COMP", "COMP", ["COMPLETED"]),
        ("%nds", "", []),
        ("x = 1", "", []),
    ],
)
def test_word_at_the_cursor_is_completed(
    completer: LineCompleter, line: str, fragment: str, offered: list[str]
) -> None:
    found, replaced = completer.matches(line, 0, len(line))
    assert ([each.text for each in found], replaced) == (offered, fragment)
