"""The text of a cell is the text of the script, whatever it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from nds_jupyter.magics.extension import register_magics

TRICKY = ["$x", "{x}", "%d", "%%", "!ls", ">>> a", "... b", "In [1]: c", "?", "\\", "\t", "  "]
LINES = st.sampled_from(TRICKY) | st.text(st.characters(codec="utf-8"), max_size=20)
TEXTS = st.lists(LINES, min_size=1, max_size=6).map("\n".join)


@pytest.fixture(scope="module")
def shell() -> InteractiveShell:
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    register_magics(shell)
    shell.user_ns["x"] = "expanded"
    return shell


@given(TEXTS)
def test_arbitrary_text_is_sent_as_it_is(shell: InteractiveShell, text: str) -> None:
    done = shell.run_cell(f"%%ndsjob --dry-run\n{text}")
    if not text.strip():
        assert "the cell is empty" in str(done.error_in_exec)
        return
    assert done.error_before_exec is None
    assert done.error_in_exec is None
    preview: Any = done.result
    assert preview.fields["script"] == text


@pytest.mark.parametrize("blank", ["", "\n", "  \n\t\n"])
def test_blank_lines_before_the_magic_do_not_matter(shell: InteractiveShell, blank: str) -> None:
    done = shell.run_cell(f"{blank}%%ndsjob --dry-run\nprint(1)\n\n")
    preview: Any = done.result
    assert preview.fields["script"] == "print(1)\n\n"


def test_text_that_another_program_made_is_kept(shell: InteractiveShell) -> None:
    shell.run_cell("%%ndsjob --dry-run\nprint('before')")
    preview: Any = shell.run_cell_magic("ndsjob", "--dry-run", "print('made')\n")
    assert preview.fields["script"] == "print('made')\n"
