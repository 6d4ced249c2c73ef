"""Somebody who never read the manual goes wrong, and is told what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.engine_api import Endpoint
from dev.images import PYTHON_IMAGE
from tests.magics.notebook import Notebook, open_notebook
from tests.servers import isolated_server

pytestmark = [pytest.mark.engine, pytest.mark.kernel]


@pytest.fixture
def notebook_with_job(notebook: Notebook) -> Notebook:
    """Give a notebook with a job and a variable that is none."""
    notebook.run("%%ndsjob --job done\nprint('done')").must_succeed()
    notebook.run("number = 5").must_succeed()
    return notebook


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("%%ndsjob --data here.csv\npass", "%ndsput FILE brings a file there"),
        ("%%ndsjob --scriptname fit.R\nprint(1)", "%ndsimages lists"),
        ("%%ndsjob --cmd 'nosuchprogram -x'\npass", "has no program nosuchprogram. Choose"),
        ("%%ndsjob --cmd 'nosuchprogram -x'\npass", "%ndsimages lists the images"),
        ("%%ndsjob --cmd 'sh -c nosuch'\npass", "Exit code 127 means that a program was not"),
        ("%%ndsjob\n#!/bin/bsh\necho 1", "no program for the first line of"),
        ("%ndslogs nosuch", "the id or the name nosuch. %ndsjobs lists your jobs."),
        ("%ndslogs number", "The variable number is no job either."),
        ("%ndsget here.csv", "Data is named by a path that begins with /."),
        ("%ndsget done --to /proc/nowhere", "/proc/nowhere: No such file or directory."),
    ],
)
def test_error_says_what_to_do_and_shows_no_traceback(
    notebook_with_job: Notebook, cell: str, message: str
) -> None:
    shown = notebook_with_job.run(cell).shown_error
    assert message in shown
    assert "Traceback" not in shown.partition("The end of its log")[0]
    assert "parser.py" not in shown


@pytest.mark.parametrize("cell", ["%%ndsjob", "\n\n%%ndsjob --quiet \n", "%%ndsjob\n\n  \n"])
def test_empty_cell_says_what_to_write(notebook: Notebook, cell: str) -> None:
    before = notebook.jobs()
    done = notebook.run(cell)
    assert done.reply["status"] == "error"
    assert done.stderr == (
        "UsageError: %%ndsjob: the cell is empty. Write the script below this line, for example "
        'print("hello from a container"). %%ndsjob? shows more examples.\n'
    )
    assert notebook.jobs() == before


def test_file_is_put_into_the_home_where_nothing_else_is_named(
    notebook: Notebook, tmp_path: Path
) -> None:
    for number, where in enumerate(["", ".", "./", "./home-3.csv"]):
        file = tmp_path / f"home-{number}.csv"
        file.write_text("h\n1\n")
        notebook.run(f"%ndsput {file} {where}").must_succeed()
    listed = notebook.run("%ndsls").must_succeed().text
    assert all(f"/home-{number}.csv" in listed for number in range(4))


@pytest.mark.parametrize("cell", ["%%ndsjob\nprint(1)", "%ndsjobs", "%ndsls", "%ndsdoctor"])
def test_wrong_token_is_called_so(notebook: Notebook, cell: str) -> None:
    notebook.run("%config NdsMagics.token = 'wrong'").must_succeed()
    try:
        done = notebook.run(cell)
    finally:
        notebook.run("%config NdsMagics.token = ''").must_succeed()
    shown = done.text or done.shown_error
    assert "does not accept the token" in shown
    assert "NDS_TOKEN" in shown


def test_states_may_be_written_small(notebook_with_job: Notebook) -> None:
    assert "COMPLETED" in notebook_with_job.run("%ndsjobs --state completed").must_succeed().text


@pytest.fixture
def narrow_notebook(docker_engine: Endpoint, tmp_path: Path) -> Iterator[Notebook]:
    """Give a notebook of a server that takes small scripts only."""
    few = ["--NdsApp.max_script_bytes=5000"]
    with (
        isolated_server(docker_engine, PYTHON_IMAGE, tmp_path, few) as server,
        open_notebook(server) as opened,
    ):
        yield opened


@pytest.mark.parametrize("line", ["--out z", "--in x"])
def test_cell_that_is_too_large_with_its_values_names_ways_out(
    narrow_notebook: Notebook, line: str
) -> None:
    narrow_notebook.run("x = 1").must_succeed()
    shown = narrow_notebook.run(f"%%ndsjob {line}\nz = 1").shown_error
    assert "--in, --out: the cell, its values and what carries them" in shown
    assert "%ndsput" in shown
    assert "c.NdsApp.max_script_bytes" in shown
    assert "hello" in narrow_notebook.run("%%ndsjob\nprint('hello')").must_succeed().stdout
