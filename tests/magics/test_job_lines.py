"""The line magics in a real kernel, on jobs of a real engine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.magics.notebook import Notebook

pytestmark = [pytest.mark.engine, pytest.mark.kernel]


@pytest.fixture(scope="module", autouse=True)
def ended(notebook: Notebook) -> str:
    """Run a job to look at, and give its id."""
    notebook.run(
        "%%ndsjob --quiet --name looked-at --job seen\n"
        "import sys, time\n"
        "print('one'); print('two'); print('three', file=sys.stderr)\n"
        "open('/results/out.txt', 'w').write('written')\n"
        "time.sleep(2)\n"
    ).must_succeed()
    return str(notebook.jobs()[0]["job_id"])


def test_job_is_found_by_id_prefix_name_variable_or_position(
    notebook: Notebook, ended: str
) -> None:
    for word in (ended, ended[:6], "looked-at", "seen", "-1", ""):
        shown = notebook.run(f"%ndslogs {word} --tail 1").must_succeed().stdout
        assert shown in {"two\n", "three\n"}, word


def test_ndslogs_shows_the_log_and_follows(notebook: Notebook) -> None:
    assert sorted(notebook.run("%ndslogs seen").stdout.splitlines()) == ["one", "three", "two"]
    followed = notebook.run("%ndslogs seen -f").must_succeed()
    assert (followed.stdout, followed.stderr) == ("one\ntwo\n", "three\n")


def test_ndsjobs_lists_newest_first_and_filters(notebook: Notebook, ended: str) -> None:
    notebook.run("%%ndsjob --quiet --no-raise --name other\nraise SystemExit(1)").must_succeed()
    every = notebook.run("%ndsjobs").must_succeed()
    assert every.text.index("other") < every.text.index("looked-at")
    assert "<table>" in every.value["text/html"]
    only = notebook.run("%ndsjobs --state FAILED").must_succeed().text
    assert "other" in only
    assert ended not in only
    assert ended in notebook.run("%ndsjobs --name looked").text
    assert notebook.value("len(_)") == "1"


def test_ndsstop_stops(notebook: Notebook) -> None:
    notebook.run("%%ndsjob --detach --job long\nimport time; time.sleep(600)").must_succeed()
    stopped = notebook.run("%ndsstop long").must_succeed()
    assert "FAILED (stopped)" in stopped.text
    assert "FAILED (stopped)" in notebook.run("%ndsstop long").must_succeed().text


def test_ndsinfo_describes_the_container(notebook: Notebook, ended: str) -> None:
    shown = notebook.run("%ndsinfo seen").must_succeed().text
    assert f"nds-{ended}" in shown
    assert "exited" in shown


def test_ndsdiff_lists_what_changed(notebook: Notebook) -> None:
    assert "added  /results/out.txt" in notebook.run("%ndsdiff seen").must_succeed().text


def test_ndsmetric_lists_samples(notebook: Notebook) -> None:
    cell = notebook.run("%ndsmetric seen").must_succeed()
    assert "memory_usage" in cell.text
    assert int(notebook.value("len(_)")) >= 1


def test_ndsget_downloads(notebook: Notebook, tmp_path: Path) -> None:
    cell = notebook.run(f"%ndsget seen --to {tmp_path}/new").must_succeed()
    assert cell.text == f"['{tmp_path}/new/out.txt']"
    assert (tmp_path / "new/out.txt").read_text() == "written"
    again = notebook.run(f"%ndsget seen --to {tmp_path}/new")
    assert "overwrite" in again.shown_error
    notebook.run(f"%ndsget seen --to {tmp_path}/new --overwrite").must_succeed()
    one = notebook.run(f"%ndsget seen out.txt --to {tmp_path}/one").must_succeed()
    assert one.text == f"['{tmp_path}/one/out.txt']"


def test_ndsimages_lists_what_may_be_used(notebook: Notebook) -> None:
    assert "nds/python:3.11" in notebook.run("%ndsimages").must_succeed().text


def test_unknown_job_is_a_sentence(notebook: Notebook) -> None:
    cell = notebook.run("%ndslogs no-such-job")
    assert cell.error["ename"] == "JobNotFound"
    assert len(cell.error["traceback"]) == 1
    assert "no-such-job" in cell.shown_error


def test_kernel_finds_its_server_and_holds_no_secret(notebook: Notebook) -> None:
    found = notebook.value("from nds_jupyter import Client; Client()")
    assert notebook.server.url.rstrip("/") in found
    token = notebook.server.token
    held = notebook.value(f"[k for k, v in __import__('os').environ.items() if {token!r} in v]")
    assert held == "[]"


def test_help_has_examples_and_options(notebook: Notebook) -> None:
    shown = notebook.run("%%ndsjob?").reply["payload"][0]["data"]["text/plain"]
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert text.index("Run this cell in a container") < text.index("    %%ndsjob --image")
    assert text.index("    %%ndsjob --image") < text.index("usage: %%ndsjob [options]")
    assert "--requirements FILE|PACKAGE" in text
    assert "%%%" not in text
    assert "%ndslogs night --follow" in str(notebook.run("%ndslogs?").reply["payload"])


def test_ndsdoctor_finds_all_well_or_what_is_wrong(notebook: Notebook) -> None:
    cell = notebook.run("%ndsdoctor").must_succeed()
    assert "NDS_URL" in cell.text
    assert notebook.value("_.well") == "True"
    try:
        notebook.run("%config NdsMagics.url = 'http://127.0.0.1:9/'").must_succeed()
        ill = notebook.run("%ndsdoctor").must_succeed()
        assert "does not answer" in ill.text
        assert "Look at the URL" in ill.value["text/html"]
    finally:
        notebook.run("%config NdsMagics.url = ''").must_succeed()
