"""`%%ndsjob` in a real kernel, through a real server, on a real engine."""

from __future__ import annotations

import json

import pytest

from tests.magics.notebook import Cell, Notebook

pytestmark = [pytest.mark.engine, pytest.mark.kernel]


def test_log_arrives_while_the_job_runs_and_stderr_is_told_apart(notebook: Notebook) -> None:
    running: list[str] = []

    def look(cell: Cell) -> None:
        if "first" in cell.stdout and not running:
            running.append(notebook.jobs()[0]["state"])

    sent = notebook.start(
        "%%ndsjob --name live\n"
        "import sys, time\n"
        "print('first')\n"
        "print('problem', file=sys.stderr)\n"
        "time.sleep(3)\n"
        "print('last')\n"
    )
    cell = notebook.finish(sent, look).must_succeed()
    assert running == ["RUNNING"]
    assert cell.stdout == "first\nlast\n"
    assert cell.stderr == "problem\n"
    assert "RUNNING" in cell.status[0]
    assert "COMPLETED" in cell.status[-1]


def test_value_of_the_cell_is_the_job(notebook: Notebook) -> None:
    cell = notebook.run("%%ndsjob --job mine\nprint(1)").must_succeed()
    assert "COMPLETED" in cell.text
    assert "<table>" in cell.value["text/html"]
    assert notebook.value("_ is mine and type(mine).__name__") == "'Job'"
    assert notebook.value("mine.exit_code, mine.logs()") == "(0, '1\\n')"


def test_options_reach_the_container(notebook: Notebook) -> None:
    cell = notebook.run(
        "%%ndsjob --image nds/python:3.11 --name 'my job' --scriptname report.py --cpus 0.5 "
        "--memory 64m --timeout 60 --network none --env GREETING='hello world' --env EMPTY= "
        "--job every\n"
        "import os, sys, json\n"
        "print(json.dumps([sys.argv[0], os.environ['GREETING'], os.environ['EMPTY'],"
        " sorted(os.listdir('/sys/class/net'))]))\n"
    ).must_succeed()
    assert json.loads(cell.stdout) == ["/nds/report.py", "hello world", "", ["lo"]]
    [job] = [each for each in notebook.jobs() if each["name"] == "my job"]
    assert job["limits"] == {"cpus": 0.5, "memory": 2**26, "pids": 512}
    assert job["image"] == "nds/python:3.11"


def test_command_replaces_the_interpreter(notebook: Notebook) -> None:
    cell = notebook.run("%%ndsjob --cmd 'sh -c \"cat /nds/cell; echo .\"'\nany $text {here}")
    assert cell.must_succeed().stdout == "any $text {here}.\n"


def test_shebang_chooses_the_interpreter(notebook: Notebook) -> None:
    cell = notebook.run("%%ndsjob\n#!/bin/sh\necho $((6 * 7))").must_succeed()
    assert cell.stdout == "42\n"


def test_detached_job_returns_at_once_and_goes_on(notebook: Notebook) -> None:
    cell = notebook.run("%%ndsjob --detach --job away\nimport time; time.sleep(2); print('done')")
    assert "RUNNING" in cell.must_succeed().text
    assert cell.log == ""
    assert notebook.value("away.wait().logs()") == "'done\\n'"


def test_quiet_job_shows_nothing_but_its_value(notebook: Notebook) -> None:
    cell = notebook.run("%%ndsjob --quiet\nprint('noise')").must_succeed()
    assert (cell.log, cell.status) == ("", [])
    assert "COMPLETED" in cell.text


def test_failed_job_raises_a_sentence_without_traceback(notebook: Notebook) -> None:
    cell = notebook.run(
        "%%ndsjob\nimport sys\nfor number in range(30): print('line', number)\nsys.exit(3)"
    )
    assert cell.error["ename"] == "JobError"
    shown = cell.shown_error
    assert "Traceback" not in shown
    assert "nds_jupyter" not in shown
    assert "(exit)" in shown
    assert "exited with code 3" in shown
    assert [f"  line {number}" for number in range(10, 30)] == shown.splitlines()[-20:]


def test_no_raise_gives_the_failed_job(notebook: Notebook) -> None:
    cell = notebook.run("%%ndsjob --no-raise --job broken\nraise SystemExit(4)").must_succeed()
    assert "FAILED" in cell.text
    assert notebook.value("broken.exit_code") == "4"


def test_failed_job_is_bound_and_last(notebook: Notebook) -> None:
    assert notebook.run("%%ndsjob --job failed\n1/0").error
    assert notebook.value("failed.state") == "<JobState.FAILED: 'FAILED'>"
    assert "ZeroDivisionError" in notebook.run("%ndslogs").must_succeed().stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--timeout 0.5", "(timeout)"),
        ("--image nds/absent:1", "(image)"),
        ("--memory 1k", "memory: give at least"),
        ("--cmd 'no-such-program'", "no-such-program"),
    ],
)
def test_what_cannot_run_says_why(notebook: Notebook, options: str, message: str) -> None:
    cell = notebook.run(f"%%ndsjob {options}\nimport time; time.sleep(60)")
    assert message in cell.shown_error
    assert "Traceback" not in cell.shown_error


def test_interrupt_stops_the_container_and_the_next_cell_does_not_run(notebook: Notebook) -> None:
    interrupted: list[bool] = []

    def look(cell: Cell) -> None:
        if "started" in cell.stdout and not interrupted:
            interrupted.append(True)
            notebook.interrupt()

    first = notebook.start("%%ndsjob --job cut\nimport time; print('started'); time.sleep(600)")
    second = notebook.start("ran = True")
    cell = notebook.finish(first, look)
    assert interrupted
    assert cell.error["ename"] == "KeyboardInterrupt"
    assert "nds_jupyter" not in cell.shown_error
    assert "stopped" in cell.status[-1]
    assert notebook.finish(second).reply["status"] in {"aborted", "error"}
    assert notebook.value("cut.refresh().view.reason.value") == "'stopped'"
    assert notebook.value("'ran' in globals()") == "False"
    assert notebook.value("cut.info().state") == "'exited'"


def test_huge_log_does_not_choke_the_notebook(notebook: Notebook) -> None:
    cell = notebook.run(
        "%%ndsjob --job huge\nfor number in range(300_000): print('a line of the log', number)"
    ).must_succeed()
    assert 1_900_000 < len(cell.log) < 2_100_000
    assert "not all of the log is shown" in cell.stderr
    assert "299999" in cell.stderr[-200:]
    assert len(cell.messages) < 2000


def test_order_of_stdout_and_stderr_is_kept(notebook: Notebook) -> None:
    cell = notebook.run(
        "%%ndsjob\nimport sys, time\nfor number in range(10):\n"
        "    print(number, file=[sys.stdout, sys.stderr][number % 2]); time.sleep(0.01)"
    ).must_succeed()
    assert cell.log == "".join(f"{number}\n" for number in range(10))


def test_progress_bar_ends_as_a_terminal_shows_it(notebook: Notebook) -> None:
    cell = notebook.run(
        "%%ndsjob\nimport sys\nfor percent in (0, 50, 100):\n"
        "    sys.stderr.write(f'\\r{percent:3}%|{\"#\" * (percent // 10):10}|')\n"
        "sys.stderr.write('\\n'); print('end without a newline', end='')"
    ).must_succeed()
    assert cell.stderr == "100%|##########|\n"
    assert cell.stdout == "end without a newline\n"
