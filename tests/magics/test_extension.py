"""Loading the extension is quick because it imports little, and nobody notices what comes later."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from dev.jupyter import Server
from nds_jupyter.magics.cell_source import add_empty_body
from nds_jupyter.magics.extension import MATCHER_ID, register_magics
from tests.magics.notebook import open_notebook

KERNEL = [pytest.mark.engine, pytest.mark.kernel]

CHECKOUT = Path(__file__).resolve().parents[2]

LOAD = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell()

def work():
    shell.run_cell("2 + 2")
    shell.complete("", "pri", 3)

work()
before = set(sys.modules)
shell.run_line_magic("load_ext", "nds_jupyter")
work()
print("\\n" + json.dumps(sorted(set(sys.modules) - before)))
"""

OURS = {
    "nds_jupyter",
    "nds_jupyter._version",
    "nds_jupyter.client",
    "nds_jupyter.client.job_methods",
    "nds_jupyter.errors",
    "nds_jupyter.jobs",
    "nds_jupyter.jobs.byte_sizes",
    "nds_jupyter.magics",
    "nds_jupyter.magics.cell_source",
    "nds_jupyter.magics.extension",
    "nds_jupyter.magics.settings",
}
"""What is imported where no magic is used."""


@pytest.mark.parametrize("project", ["", "[tool.other]\nname = 1\n"])
def test_loading_imports_nothing_that_takes_long(tmp_path: Path, project: str) -> None:
    (tmp_path / "pyproject.toml").write_text(project)
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(json.loads(done.stdout.splitlines()[-1]))
    assert {name for name in imported if name.startswith("nds_jupyter")} == OURS
    libraries = {name.partition(".")[0] for name in imported} - set(sys.stdlib_module_names)
    assert libraries <= {"nds_jupyter", "IPython"}
    assert imported & {"argparse", "asyncio", "sqlite3", "ssl", "tomllib", "uuid"} == set()


@pytest.fixture
def shell() -> InteractiveShell:
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    register_magics(shell)
    return shell


def test_first_cell_is_carried_out_with_what_was_configured_before(shell: InteractiveShell) -> None:
    shell.user_ns["x"] = "expanded"
    shell.run_cell("%config NdsMagics.image = 'mine:1'").raise_error()
    done = shell.run_cell("%%ndsjob --dry-run --name {x}\nprint('$x {x}')\n\n")
    preview: Any = done.result
    assert preview.fields["script"] == "print('$x {x}')\n\n"
    assert preview.fields["image_name"] == "mine:1"
    assert preview.fields["name"] == "{x}"


def test_first_misspelt_option_is_reported(shell: InteractiveShell) -> None:
    with pytest.raises(UsageError, match="did you mean --image"):
        shell.run_cell_magic("ndsjob", "--imge x", "print(1)")
    with pytest.raises(UsageError, match="did you mean --state"):
        shell.run_line_magic("ndsjobs", "--stat x")


def test_first_empty_cell_says_what_to_write(shell: InteractiveShell) -> None:
    register_magics(shell)
    for cell in ("%%ndsjob", "\n\n%%ndsjob --name it\n", "%%ndsjob\n \n"):
        with pytest.raises(UsageError, match="the cell is empty"):
            shell.run_cell(cell).raise_error()
    assert shell.input_transformers_cleanup.count(add_empty_body) == 1


def test_a_terminal_goes_on_asking_for_the_script(shell: InteractiveShell) -> None:
    assert shell.check_complete("%%ndsjob") == ("incomplete", "")
    assert shell.check_complete("%%ndsjob\nprint(1)\n")[0] == "incomplete"
    assert shell.check_complete("%%ndsjob\nprint(1)\n\n")[0] == "complete"


@pytest.mark.parametrize("magic", ["%%ndsjob", "%ndsjobs", "ndsls"])
def test_help_is_whole_before_the_first_use_and_after(shell: InteractiveShell, magic: str) -> None:
    first = shell.object_inspect(magic)["docstring"]
    assert "usage: %" in first
    assert shell.object_inspect(magic)["docstring"] == first


def test_loading_again_registers_once(shell: InteractiveShell) -> None:
    register_magics(shell)
    matchers = [getattr(each, "matcher_identifier", "") for each in shell.Completer.custom_matchers]
    assert matchers.count(MATCHER_ID) == 1
    assert [type(each).__name__ for each in shell.configurables].count("NdsMagics") == 1
    shell.run_cell("%config NdsMagics.image = 'mine:2'").raise_error()
    preview: Any = shell.run_cell("%%ndsjob --dry-run\nprint(1)").result
    assert preview.fields["image_name"] == "mine:2"


class TestInAKernel:
    pytestmark = KERNEL

    def test_tab_offers_options_straight_after_loading(self, server: Server) -> None:
        with open_notebook(server) as fresh:
            assert fresh.complete("%%ndsjob --netw") == ["--network"]

    def test_names_of_magics_are_offered_straight_after_loading(self, server: Server) -> None:
        with open_notebook(server) as fresh:
            assert "%%ndsjob" in fresh.complete("%%ndsj")
            assert "%ndsjobs" in fresh.complete("%ndsj")

    def test_question_mark_teaches_straight_after_loading(self, server: Server) -> None:
        with open_notebook(server) as fresh:
            help_text = (
                fresh.run("%%ndsjob?").must_succeed().reply["payload"][0]["data"]["text/plain"]
            )
            assert "Run this cell in a container" in help_text
            assert "--image" in help_text

    def test_first_cell_is_a_job(self, server: Server) -> None:
        with open_notebook(server) as fresh:
            assert "hello" in fresh.run("%%ndsjob\nprint('hello')").must_succeed().stdout
