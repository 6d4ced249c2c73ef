"""The data root in a notebook: list, upload, a job over data, its results, metadata."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.magics.notebook import Notebook

pytestmark = [pytest.mark.engine, pytest.mark.kernel]


def test_job_over_data_and_back(notebook: Notebook, tmp_path: Path) -> None:
    local = tmp_path / "ünï 1.txt"
    local.write_text("one")
    folder = tmp_path / "more"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "x").write_text("two")
    notebook.run(f"%ndsput '{local}' /lines/").must_succeed()
    notebook.run(f"%ndsput '{folder}' /lines/more").must_succeed()
    listed = notebook.run("t = %ndsls /lines\nprint(list(t))")
    assert "/lines/ünï 1.txt" in listed.must_succeed().stdout
    assert "/lines/more/" in listed.stdout
    again = notebook.run(f"%ndsput '{local}' /lines/")
    assert "exists" in again.stderr + again.shown_error
    notebook.run(f"%ndsput --overwrite '{local}' /lines/").must_succeed()
    cell = notebook.run(
        "%%ndsjob --job over --data '/lines/ünï 1.txt:/in/one' --data /lines/more "
        "--output /lines/out\n"
        "print(open('/in/one').read() + open('/data/more/deep/x').read())\n"
        "open('/results/sum', 'w').write('onetwo')"
    ).must_succeed()
    assert "onetwo" in cell.stdout
    to = tmp_path / "got"
    got = notebook.run(f"files = %ndsget /lines --to {to}\nprint(len(files))").must_succeed()
    assert got.stdout.strip().endswith("3")
    assert (to / "lines" / "out" / "sum").read_text() == "onetwo"
    assert (to / "lines" / "more" / "deep" / "x").read_text() == "two"
    shown = notebook.run("m = %ndsmeta /lines/out/sum --set study=7 --unit kg\nprint(list(m))")
    assert "('study', '7', 'kg')" in shown.must_succeed().stdout
    assert "nds.job" in shown.stdout
    words = notebook.run(
        "import json\nshell = get_ipython()\n"
        "print(json.dumps(shell.Completer.complete(line_buffer='%ndsls /lines/m',"
        " cursor_pos=15)[1]))"
    ).must_succeed()
    assert any(word.endswith("more/") for word in json.loads(words.stdout)), words.stdout
    missing = notebook.run("%%ndsjob --data /lines/none\nprint()")
    assert "/lines/none" in missing.stderr + missing.shown_error + missing.log
