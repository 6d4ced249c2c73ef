"""What the notebook offers around a job: previews, templates, completion, background, lists."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from nds_jupyter.client.display import STATUS_TYPE
from tests.magics.notebook import Cell, Notebook, store

pytestmark = [pytest.mark.engine, pytest.mark.kernel]


def test_cell_arrives_byte_for_byte(notebook: Notebook) -> None:
    text = ">>> not a prompt\n\t$HOME {x} %d \\n é \x0c\r\n!ls\n\n   \n\n"
    cell = notebook.run("%%ndsjob --cmd 'sha256sum /nds/cell'\n" + text).must_succeed()
    assert cell.stdout.split()[0] == hashlib.sha256(text.encode()).hexdigest()


def test_dry_run_shows_what_would_be_sent_and_sends_nothing(notebook: Notebook) -> None:
    before = len(notebook.jobs())
    cell = notebook.run("%%ndsjob --dry-run --memory 64m --env A=b\nprint($x)").must_succeed()
    assert '"memory": "64m"' in cell.text
    assert '"A": "b"' in cell.text
    assert cell.text.endswith("print($x)")
    assert len(notebook.jobs()) == before


def test_render_fills_in_variables_only_when_asked(notebook: Notebook) -> None:
    notebook.run("names = ['a', 'b']").must_succeed()
    template = "{% for name in names %}print('{{ name }}')\n{% endfor %}"
    cell = notebook.run(f"%%ndsjob --render\n{template}").must_succeed()
    assert cell.stdout == "a\nb\n"
    missing = notebook.run("%%ndsjob --render\n{{ absent }}")
    assert "'absent' is undefined" in missing.stderr + missing.shown_error
    private = notebook.run("%%ndsjob --render\n{{ names.__class__.__mro__ }}")
    assert private.reply["status"] == "error"


def test_tab_completes_options_images_jobs_and_variables(notebook: Notebook) -> None:
    notebook.run(
        "shelf = 1\n"
        "from nds_jupyter import Client\n"
        "tabbed = Client().submit('print(1)', scriptname='a.py', name='to-complete').wait()"
    ).must_succeed()
    assert "--image" in notebook.complete("%%ndsjob --im")
    assert "--timeout" in notebook.complete("%%ndsjob --image x --ti")
    notebook.must_offer("%%ndsjob --image nds/py", {"nds/python:3.11": "image"})
    assert "none" in notebook.complete("%%ndsjob --network n")
    assert "shelf" in notebook.complete("%%ndsjob --in she")
    assert "tabbed" in notebook.complete("%ndslogs tab")
    assert "--follow" in notebook.complete("%ndslogs tabbed --fo")
    assert notebook.complete("%%ndsjob --network=br") == ["bridge"]
    assert notebook.complete("%%ndsjob\n--im") == []
    assert "--state" in notebook.complete("x = 1\n%ndsjobs --st")
    below = "%%ndsjob --im\nprint(1)"
    assert "--image" in notebook.offered(below, below.index("\n"))


def test_tab_says_what_each_job_and_variable_is(second_notebook: Notebook) -> None:
    # What the server said is used again for a while; this kernel has not asked it yet.
    notebook = second_notebook
    notebook.run(
        "from nds_jupyter import Client\n"
        "import collections\n"
        "shelf = collections.Counter()\n"
        "tabbed = Client().submit('print(1)', scriptname='a.py', name='to-complete').wait()\n"
    ).must_succeed()
    job = notebook.jobs()[0]["job_id"]
    notebook.must_offer(f"%ndslogs {job[:6]}", {job: "COMPLETED to-complete"})
    notebook.must_offer("%ndsstop to-com", {"to-complete": f"COMPLETED {job}"})
    notebook.must_offer("%ndsget tabb", {"tabbed": "COMPLETED to-complete"})
    notebook.must_offer("%%ndsjob --in shel", {"shelf": "Counter"})
    notebook.must_offer("%%ndsjob --image nds/py", {"nds/python:3.11": "image"})
    notebook.must_offer("%%ndsjob --swe", {"--sweep": "many jobs"})


def test_tab_completes_data_paths_also_with_blanks(notebook: Notebook) -> None:
    for path in ("/tab/one.txt", "/tab/two words.txt", "/tab/deep/x.txt"):
        store(notebook.server, path, "content")
    offered = {
        "/tab/one.txt": "data object",
        "/tab/two\\ words.txt": "data object",
        "/tab/deep/": "collection",
    }
    notebook.must_offer("%%ndsjob --data /tab/", offered)
    notebook.must_offer("%ndsls /tab/d", {"/tab/deep/": "collection"})
    notebook.must_offer("%%ndsjob --output /ta", {"/tab/": "collection"})
    notebook.must_offer("%%ndsjob --data /tab/two\\ w", {"/tab/two\\ words.txt": "data object"})
    cell = notebook.run(
        "%%ndsjob --data /tab/two\\ words.txt\nprint(open('/data/two words.txt').read())"
    )
    assert "content" in cell.must_succeed().stdout


def test_detached_job_announces_its_end_where_it_was_started(notebook: Notebook) -> None:
    cell = notebook.run("%%ndsjob --detach --name announced\nimport time; time.sleep(2)")
    assert "This line tells when it has ended" in cell.must_succeed().status[0]
    # The announcement comes by itself, outside of any cell.
    said = notebook.wait_for(
        lambda message: (
            message["msg_type"] == "update_display_data"
            and "COMPLETED" in message["content"]["data"]["text/plain"]
        )
    )
    shown = next(each for each in cell.messages if each["msg_type"] == "display_data")
    assert said["content"]["transient"] == shown["content"]["transient"]


@pytest.mark.parametrize(
    ("name", "option", "cell"),
    [
        ("chatty", "", "while True: print('line', flush=True); time.sleep(0.01)"),
        ("silent", "", "time.sleep(600)"),
        ("quiet", "--quiet", "time.sleep(600)"),
    ],
)
def test_cell_ends_when_its_job_is_sent_to_the_background(
    notebook: Notebook, name: str, option: str, cell: str
) -> None:
    first = notebook.start(f"%%ndsjob --name {name} --job left {option}\nimport time\n{cell}")
    second = notebook.start("left.state.value")
    job = notebook.started_job(name)
    notebook.server.ask("POST", f"nds/jobs/{job['job_id']}/background")
    shown = notebook.finish(first).must_succeed()
    assert "RUNNING" in shown.text
    assert "This line tells when it has ended" in shown.status[-1]
    assert notebook.finish(second).text == "'RUNNING'"
    bundles = [each["content"]["data"] for each in shown.messages if "display" in each["msg_type"]]
    assert STATUS_TYPE not in bundles[-1]
    if not option:
        assert bundles[0][STATUS_TYPE] == {"job_id": job["job_id"]}
    # The line is still told of the end, though no cell runs.
    notebook.server.ask("POST", f"nds/stop?job_id={job['job_id']}&timeout=0", timeout=60)
    notebook.wait_for(
        lambda message: (
            message["msg_type"] == "update_display_data"
            and "Stopped on request" in message["content"]["data"]["text/plain"]
        )
    )


def test_jobs_can_be_awaited_and_gathered(notebook: Notebook) -> None:
    notebook.run(
        "from nds_jupyter import Client, gather\n"
        "client = Client()\n"
        "many = [client.submit(f'print({n}); print({n})', scriptname='a.py') for n in range(3)]\n"
        "ended = await gather(many)\n"
        "one = await many[0]\n"
        "lines = [line async for line in one.alogs()]"
    ).must_succeed()
    assert notebook.value("[job.state.value for job in ended]") == str(["COMPLETED"] * 3)
    assert notebook.value("one is many[0], lines") == "(True, ['0', '0'])"


def test_ndsjobs_filters_by_time_and_gives_a_frame(notebook: Notebook) -> None:
    assert notebook.value("len(get_ipython().run_line_magic('ndsjobs', '--since 0s'))") == "0"
    assert int(notebook.value("len(get_ipython().run_line_magic('ndsjobs', '--all'))")) > 3
    notebook.run("jobs = get_ipython().run_line_magic('ndsjobs', '--since 2h')").must_succeed()
    notebook.run("frame = jobs.to_frame()").must_succeed()
    assert notebook.value("list(frame.job_id) == [job.id for job in jobs]") == "True"
    assert "UTC" in notebook.value("str(frame.started.dtype)")
    wrong = notebook.run("%ndsjobs --since yesterday")
    assert "Write it like 2h" in wrong.stderr


def test_job_can_be_exported_and_submitted_again(notebook: Notebook, tmp_path: Path) -> None:
    notebook.run(
        "%%ndsjob --quiet --name origin --env A=é --memory 64m --timeout 60 --job first\n"
        "import os; print(os.environ['A'])"
    ).must_succeed()
    notebook.run(f"path = first.export('{tmp_path}/job.json')").must_succeed()
    written = json.loads((tmp_path / "job.json").read_text())
    assert written["script"] == "import os; print(os.environ['A'])"
    assert (
        written["labels"]["cell.sha256"] == hashlib.sha256(written["script"].encode()).hexdigest()
    )
    notebook.run(f"again = client.submit_file('{tmp_path}/job.json').wait()").must_succeed()
    assert notebook.value("again.logs(), again.id != first.id, again.spec == first.spec") == (
        "('é\\n', True, True)"
    )


def test_settings_of_the_project_are_shared(notebook: Notebook, tmp_path: Path) -> None:
    folder = notebook.value(f"import os; before = os.getcwd(); os.chdir('{tmp_path}'); before")
    path = tmp_path / "pyproject.toml"
    path.write_text("[tool.nds]\nmemory = '48m'\nraise = false\n")
    try:
        notebook.run("%reload_ext nds_jupyter").must_succeed()
        cell = notebook.run("%%ndsjob\nraise SystemExit(2)").must_succeed()
        assert "FAILED" in cell.text
        assert notebook.jobs()[0]["limits"]["memory"] == 48 * 2**20
        notebook.run("%config NdsMagics.memory = '32m'").must_succeed()
        notebook.run("%%ndsjob\npass").must_succeed()
        assert notebook.jobs()[0]["limits"]["memory"] == 32 * 2**20
        path.write_text("[tool.nds]\nmemry = '48m'\n")
        assert "Did you mean memory?" in notebook.run("%reload_ext nds_jupyter").stderr
    finally:
        notebook.run(f"os.chdir({folder})").must_succeed()
        notebook.run("%reload_ext nds_jupyter").must_succeed()


def test_two_kernels_run_jobs_at_once_and_see_each_other(
    notebook: Notebook, second_notebook: Notebook
) -> None:
    waiting = "%%ndsjob --job mine --name {}\nimport time; time.sleep(1); print('{}')"
    one = notebook.start(waiting.format("left", "left"))
    two = second_notebook.start(waiting.format("right", "right"))
    assert notebook.finish(one).must_succeed().stdout == "left\n"
    assert second_notebook.finish(two).must_succeed().stdout == "right\n"
    assert second_notebook.run("%ndslogs left").must_succeed().stdout == "left\n"


def test_restarted_kernel_finds_its_job_again(second_notebook: Notebook) -> None:
    second_notebook.run(
        "%%ndsjob --detach --name survivor\nimport time; time.sleep(3); print('survived')"
    ).must_succeed()
    second_notebook.restart()
    second_notebook.run("%load_ext nds_jupyter").must_succeed()

    def seen(cell: Cell) -> str:
        return cell.must_succeed().stdout

    assert seen(second_notebook.run("%ndslogs survivor -f")) == "survived\n"
