"""Every option of every magic is used in a real kernel: here are those that no other test uses."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from dev.jupyter import Server
from nds_jupyter.magics.registry import line_parsers
from tests.magics.notebook import Notebook, open_notebook, store

KERNEL = [pytest.mark.engine, pytest.mark.kernel]

OPTIONS = [
    (magic, option.flags[-1])
    for magic, parser in line_parsers().items()
    for option in parser().options
    if option.flags[-1].startswith("-")
]


@pytest.mark.parametrize(("magic", "flag"), OPTIONS)
def test_option_is_used_by_a_test_in_a_kernel(magic: str, flag: str) -> None:
    here = Path(__file__).parent
    modules = [*here.glob("test_*.py"), *(here.parent / "browser").glob("test_*.py")]
    texts = [each.read_text("utf-8") for each in modules if each.name != "test_parser.py"]
    # Names of options are put in by tests that try several of them.
    assert any(magic in text and re.search(rf"{flag}\b", text) for text in texts)


class TestInAKernel:
    pytestmark = KERNEL

    def test_overwrite_and_output_on_failure(self, notebook: Notebook) -> None:
        write = "open('/results/a', 'w').write('{}')"
        out = "%%ndsjob --output every/out"
        notebook.run(f"{out}\n{write.format('one')}").must_succeed()
        taken = notebook.run(f"{out}\n{write.format('two')}")
        assert "overwrite" in taken.shown_error
        notebook.run(f"{out} --overwrite\n{write.format('three')}").must_succeed()
        assert notebook.server.ask("GET", "nds/list_data?path=every/out")[0]["size"] == 5
        failing = "%%ndsjob --output every/failed {}\nopen('/results/a', 'w').write('x'); 1/0"
        assert notebook.run(failing.format("")).error
        assert "every/failed" in notebook.run("%ndsls every/failed").shown_error
        assert notebook.run(failing.format("--output-on-failure")).error
        assert "every/failed/a" in notebook.run("%ndsls every/failed").must_succeed().text

    def test_no_more_jobs_of_a_sweep_than_asked_for_run_at_a_time(self, notebook: Notebook) -> None:
        notebook.run(
            "%%ndsjob --sweep n=range(3) --max-concurrent 1 --name single --quiet --job line\n"
            "import time; time.sleep(0.5)"
        ).must_succeed()
        spans = sorted(
            (job["started"], job["finished"])
            for job in notebook.jobs()
            if job["name"].startswith("single ")
        )
        assert len(spans) == 3
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))

    @pytest.mark.parametrize("option", ["--gpus 1", "--constraint node.labels.gpu==true"])
    def test_what_this_engine_does_not_have_is_refused(
        self, notebook: Notebook, option: str
    ) -> None:
        cell = notebook.run(f"%%ndsjob {option}\nprint()")
        assert option.split()[0].strip("-") in cell.shown_error
        assert len(cell.error["traceback"]) == 1

    def test_lists_are_filtered_and_bounded(self, notebook: Notebook) -> None:
        for name in ("one", "two"):
            notebook.run(f"%%ndsjob --quiet --name listed-{name}\npass").must_succeed()
        found = "[job.view.name for job in get_ipython().run_line_magic('ndsjobs', '{}')]"
        assert "listed-one" not in notebook.run("%ndsjobs --limit 1").must_succeed().text
        assert "listed-one" in notebook.value(found.format("--image nds/python"))
        assert notebook.value(found.format("--image nds/absent")) == "[]"
        assert notebook.value(found.format("--name listed --state FAILED")) == "[]"
        for name in ("a.csv", "b.csv", "c.txt"):
            store(notebook.server, f"/bounded/{name}")
        assert "bounded/b.csv" in notebook.run("%ndsls bounded --q .csv").must_succeed().text
        assert "c.txt" not in notebook.run("%ndsls bounded --q .csv").must_succeed().text
        assert "b.csv" not in notebook.run("%ndsls bounded --limit 1").must_succeed().text

    def test_metadata_is_set_and_removed(self, notebook: Notebook) -> None:
        store(notebook.server, "/described/x")
        described = "%ndsmeta described/x"
        notebook.run(f"{described} --set height=7 --unit m --set by=ada").must_succeed()
        shown = notebook.run(f"{described} --remove by --set height=8").must_succeed().text
        assert ("height" in shown, "by" in shown, "7" in shown) == (True, False, False)

    @pytest.mark.parametrize("line", ["%ndspanel --dock", "%ndsdata --dock"])
    def test_panel_without_sidecar_says_what_to_install(
        self, notebook: Notebook, line: str
    ) -> None:
        notebook.run("import sys; sys.modules['sidecar'] = None").must_succeed()
        cell = notebook.run(line)
        notebook.run("del sys.modules['sidecar']").must_succeed()
        assert "pip install sidecar" in cell.stderr + cell.shown_error

    def test_settings_are_defaults_of_every_job(self, server: Server) -> None:
        with open_notebook(server) as notebook:
            for setting in (
                "image = 'nds/shell:test'",
                "memory = '40m'",
                "cpus = 0.5",
                "timeout = 77.0",
                "quiet = True",
                "raises = False",
            ):
                notebook.run(f"%config NdsMagics.{setting}").must_succeed()
            cell = notebook.run("%%ndsjob --scriptname a.sh\necho noise; exit 3").must_succeed()
            assert (cell.log, cell.status) == ("", [])
            job = notebook.jobs()[0]
            assert (job["image"], job["exit_code"]) == ("nds/shell:test", 3)
            assert job["limits"] | {"pids": 0} == {"cpus": 0.5, "memory": 40 * 2**20, "pids": 0}
            assert notebook.value("_.spec.timeout") == "77.0"
            over = notebook.run("%%ndsjob --scriptname a.sh --memory 50m --cpus 1\nexit 0")
            over.must_succeed()
            assert notebook.jobs()[0]["limits"]["memory"] == 50 * 2**20

    @pytest.mark.parametrize(
        "magic", ["ndslogs", "ndsinfo", "ndsdiff", "ndsmetric", "ndsget", "ndsstop", "ndspanel"]
    )
    def test_every_magic_about_a_job_takes_all_its_names(
        self, notebook: Notebook, magic: str, tmp_path: Path
    ) -> None:
        name = f"for-{magic}"
        notebook.run(f"%%ndsjob --quiet --name {name} --job held\nprint(1)").must_succeed()
        job_id = notebook.jobs()[0]["job_id"]
        notebook.run(f"%cd -q {tmp_path}").must_succeed()
        last = [] if magic == "ndspanel" else ["", "-1"]
        for word in (job_id, job_id[:7], name, "held", *last):
            notebook.run(f"%{magic} {word}").must_succeed()
        assert "JobNotFound" in notebook.run(f"%{magic} no-such-job").error["ename"]


@pytest.mark.engine
@pytest.mark.kernel
def test_job_remembers_the_notebook_that_it_comes_from(server: Server) -> None:
    asked = {
        "path": "study/heights.ipynb",
        "name": "heights.ipynb",
        "type": "notebook",
        "kernel": {"name": "python3"},
    }
    session = server.ask("POST", "api/sessions", asked)
    with open_notebook(server, kernel_id=session["kernel"]["id"]) as notebook:
        notebook.run("%%ndsjob --job known\nprint(1)").must_succeed()
        labels = notebook.value("known.spec.labels")
    assert "heights.ipynb" in labels
    assert "cell.sha256" in labels
