"""`%%ndsjob --sweep`: a job a point, together one value."""

from __future__ import annotations

import json

import pytest

from tests.magics.notebook import Cell, Notebook

pytestmark = [pytest.mark.engine, pytest.mark.kernel]

SWEEP = """%%ndsjob --sweep lr=0.5,0.25 --sweep seed=range(2) --name train --no-raise --job jobs
import os, json, sys
point = json.loads(os.environ["NDS_SWEEP"])
assert float(os.environ["NDS_SWEEP_LR"]) == point["lr"]
print(point["lr"] + point["seed"])
sys.exit(3 if point["seed"] else 0)
"""

ASK = """
import json
frame = jobs.to_frame()
print(json.dumps({
    "columns": list(frame.columns)[:2],
    "points": frame[["lr", "seed"]].values.tolist(),
    "failed": [job.view.name for job in jobs.failed],
    "codes": [job.exit_code for job in jobs],
    "logs": [job.logs().strip() for job in jobs],
    "progress": jobs.progress().split(" ", 1)[1],
    "again": [job.view.name for job in jobs.rerun_failed().wait(lambda line: None)],
    "stopped": [
        job.view.reason
        for job in session_client.submit_sweep(
            {"n": [1, 2]}, script="import time; time.sleep(600)", scriptname="x.py"
        ).stop(0)
    ],
}))
"""


def test_sweep_is_an_array_of_jobs_with_their_points(notebook: Notebook) -> None:
    cell = notebook.run(SWEEP).must_succeed()
    assert "4 of 4 ended, 2 failed" in cell.status[-1]
    opened = "import nds_jupyter\nsession_client = nds_jupyter.Client()\n"
    seen = json.loads(notebook.run(opened + ASK).must_succeed().stdout.splitlines()[-1])
    assert seen == {
        "columns": ["lr", "seed"],
        "points": [[0.5, 0], [0.5, 1], [0.25, 0], [0.25, 1]],
        "failed": ["train lr=0.5 seed=1", "train lr=0.25 seed=1"],
        "codes": [0, 3, 0, 3],
        "logs": ["0.5", "1.5", "0.25", "1.25"],
        "progress": "4 of 4 ended, 2 failed",
        "again": ["train lr=0.5 seed=1", "train lr=0.25 seed=1"],
        "stopped": ["stopped", "stopped"],
    }


def test_cell_of_a_sweep_raises_when_a_point_failed(notebook: Notebook) -> None:
    cell = notebook.run(
        "%%ndsjob --sweep n=0,1\nimport os, sys\nsys.exit(int(os.environ['NDS_SWEEP_N']))"
    )
    assert "1 of 2 jobs failed" in cell.error["evalue"]


def test_bound_of_a_sweep_is_sent_with_its_points(notebook: Notebook) -> None:
    line = "%%ndsjob --sweep n=range(4) --max-concurrent 2 --dry-run\npass"
    shown = notebook.run(line).must_succeed().text
    assert '"max_concurrent": 2' in shown
    assert '"sweep"' in shown


def test_interrupted_sweep_is_stopped_whole(notebook: Notebook) -> None:
    interrupts: list[bool] = []

    def look(cell: Cell) -> None:
        if not interrupts and any("0 of 3 ended" in status for status in cell.status):
            interrupts.append(True)
            notebook.interrupt()

    sent = notebook.start(
        "%%ndsjob --sweep n=range(3) --job swept\nimport time; time.sleep(600)",
    )
    cell = notebook.finish(sent, look)
    assert cell.error["ename"] == "KeyboardInterrupt"
    assert "3 of 3 ended" in cell.status[-1]
    assert notebook.value("[job.view.reason.value for job in swept.refresh()]") == str(
        ["stopped"] * 3
    )
