"""Variables of the notebook in a script, and back, through a real container."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from dev.engine_api import Endpoint
from dev.jupyter import Server
from tests.magics.notebook import Notebook
from tests.values_image import ensure_values_image

pytestmark = [pytest.mark.engine, pytest.mark.kernel]


@pytest.fixture(scope="module")
def tables_image(docker_engine: Endpoint) -> str:
    return ensure_values_image(docker_engine)


def test_variables_go_in_and_come_back(notebook: Notebook) -> None:
    notebook.run("x = {'é': [1.5, float('nan')], 2: None}; y = 'kept'").must_succeed()
    cell = notebook.run(
        "%%ndsjob --in x --in y --out total --out y --job valued\n"
        "import datetime\n"
        "total = (x['é'][0] * 2, datetime.date(2024, 2, 29))\n"
        "y += '!'\n"
        "print('in the container', __file__)\n"
    ).must_succeed()
    assert "in the container /nds/cell.py" in cell.stdout
    assert "--in x (" in cell.stdout
    assert "--out total (" in cell.stdout
    assert notebook.value("total, y") == "((3.0, datetime.date(2024, 2, 29)), 'kept!')"
    assert notebook.value("valued.value('y')") == "'kept!'"


def test_tables_and_arrays_travel(notebook: Notebook, tables_image: str) -> None:
    notebook.run(
        "import numpy as np, pandas as pd\n"
        "frame = pd.DataFrame({'a': [1, 2], 'when': pd.to_datetime(['2024-01-01', None])})\n"
        "array = np.arange(6.0).reshape(2, 3)"
    ).must_succeed()
    notebook.run(
        f"%%ndsjob --image {tables_image} --in frame --in array --out frame2 --out array2\n"
        "frame2 = frame.assign(b=frame.a * 2)\n"
        "array2 = array.T\n"
    ).must_succeed()
    assert notebook.value("frame2.equals(frame.assign(b=[2, 4]))") == "True"
    assert notebook.value("array2.shape, bool((array2 == array.T).all())") == "((3, 2), True)"


def test_image_without_the_library_says_so(notebook: Notebook) -> None:
    notebook.run("import numpy as np; array = np.arange(3)").must_succeed()
    cell = notebook.run("%%ndsjob --in array\npass")
    assert "--in array: numpy is not installed" in cell.shown_error
    assert "--requirements" in cell.shown_error


LARGE = 200 * 10**6
"""Bytes of the large values: much more than a script may have."""


def most_memory(server: Server) -> int:
    """Return the most bytes that the server's process has had in memory."""
    [described] = server.runtime_folder.glob("jpserver-*.json")
    process = described.stem.partition("-")[2]
    [line] = [
        line
        for line in Path(f"/proc/{process}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    ]
    return int(line.split()[1]) * 1024


def test_large_array_travels_both_ways(
    notebook: Notebook, server: Server, tables_image: str
) -> None:
    before = most_memory(server)
    notebook.run(
        f"import numpy as np; array = np.tile(np.arange(1000.0), {LARGE // 8000})"
    ).must_succeed()
    cell = notebook.run(
        f"%%ndsjob --image {tables_image} --memory 2g --in array --out array --name large-array\n"
        "assert array[999] == 999\n"
        "array[0] = len(array)\n"
    ).must_succeed()
    size = f"({LARGE / 2**20:.4g} MiB)"
    assert f"--in array {size}" in cell.stdout
    assert f"--out array {size}" in cell.stdout
    assert any("array.npy" in status and "█" in status for status in cell.status)
    assert notebook.value("array[0], array[999], array.nbytes") == (
        f"(np.float64({LARGE / 8}), np.float64(999.0), {LARGE})"
    )
    notebook.run("del array").must_succeed()
    assert most_memory(server) - before < LARGE / 2


def test_large_table_travels_both_ways(notebook: Notebook, tables_image: str) -> None:
    notebook.run(
        "import numpy as np, pandas as pd\n"
        f"table = pd.DataFrame({{'a': np.arange({LARGE / 16}) % 100, 'é': 1}})\n"
        "before = table.copy()"
    ).must_succeed()
    notebook.run(
        f"%%ndsjob --image {tables_image} --memory 2g --in table.parquet --out table\n"
        "table['é'] += 1\n"
    ).must_succeed()
    assert notebook.value("table.equals(before.assign(é=2))") == "True"
    notebook.run("del table, before").must_succeed()


def test_preview_and_panel_show_the_cell(notebook: Notebook, server: Server) -> None:
    notebook.run("x = 1; big = 'b' * 300_000").must_succeed()
    shown = notebook.run("%%ndsjob --dry-run --in x --in big\nprint('as it is')").must_succeed()
    assert "print('as it is')" in shown.text
    assert '"to": "/nds/in/big.json"' in shown.text
    notebook.run("%%ndsjob --in x --job shown\nprint('as it is')").must_succeed()
    job_id = notebook.value("shown.id").strip("'")
    request = urllib.request.Request(
        f"{server.url}nds/script?job_id={job_id}",
        headers={"Authorization": f"token {server.token}"},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.read() == b"print('as it is')"


def test_same_value_is_sent_once(notebook: Notebook, server: Server) -> None:
    notebook.run("text = 'x' * 5_000_000").must_succeed()
    cell = "%%ndsjob --in text --out n\nn = len(text)"
    assert any("text.json" in status for status in notebook.run(cell).must_succeed().status)
    assert not any("text.json" in status for status in notebook.run(cell).must_succeed().status)
    assert notebook.value("n") == "5000000"


def test_shell_script_reads_values_as_files(notebook: Notebook) -> None:
    notebook.run("text, number, big = 'é\\n', [1, None], b'x' * 300_000").must_succeed()
    cell = notebook.run(
        "%%ndsjob --in text --in number --in big --out sizes.txt\n#!/bin/sh\n"
        "cat $NDS_IN/text.txt $NDS_IN/number.json; wc -c < $NDS_IN/big.bin > $NDS_OUT/sizes.txt\n"
    ).must_succeed()
    assert "é\n[1, null]" in cell.stdout
    assert notebook.value("sizes") == "'300000\\n'"


def test_values_of_a_detached_job_are_fetched_later(notebook: Notebook) -> None:
    notebook.run("x = 20").must_succeed()
    notebook.run(
        "%%ndsjob --detach --retries 1 --job later --in x --out y --out t.txt\n"
        "y, t = x + 1, 'as text'"
    ).must_succeed()
    notebook.run("later.wait().raise_if_failed()").must_succeed()
    assert notebook.value("later.values()") == "{'y': 21, 't': 'as text'}"
    cell = notebook.run("%ndsvalues later --pickle").must_succeed()
    assert "--out y (2 B), --out t (7 B)" in cell.stdout
    assert notebook.value("y, t") == "(21, 'as text')"
    assert "no value z" in notebook.run("%ndsvalues later z").shown_error
    notebook.run("%%ndsjob --detach --job busy --out y\nimport time; time.sleep(600)")
    assert "has not ended" in notebook.run("%ndsvalues busy").shown_error
    notebook.run("%ndsstop busy").must_succeed()


def test_every_point_of_a_sweep_has_its_values(notebook: Notebook) -> None:
    notebook.run("x = 10").must_succeed()
    notebook.run(
        "%%ndsjob --sweep n=1,2 --in x --out y --job points\n"
        "import os; y = x * int(os.environ['NDS_SWEEP_N'])"
    ).must_succeed()
    assert notebook.value("points.values('y')") == "[10, 20]"


def test_job_with_values_is_repeated_and_exported(notebook: Notebook, tmp_path: Path) -> None:
    notebook.run("big = 'y' * 1_000_000").must_succeed()
    notebook.run("%%ndsjob --in big --out n --job first\nn = len(big)\nprint(n)").must_succeed()
    notebook.run("from nds_jupyter import Client; client = Client()").must_succeed()
    values = "raise_if_failed().value('n')"
    assert notebook.value(f"client.submit_spec(first.spec).wait().{values}") == "1000000"
    assert notebook.value(f"first.rerun().wait().{values}") == "1000000"
    exported = tmp_path / "job.json"
    notebook.run(f"first.export({str(exported)!r})").must_succeed()
    [sent] = json.loads(exported.read_text())["files"]
    assert (tmp_path / "job.files" / sent["sha256"]).stat().st_size == 1_000_002
    assert notebook.value(f"client.submit_file({str(exported)!r}).wait().{values}") == "1000000"
    job = "client.submit('wc -c $NDS_IN/a', scriptname='a.sh', files={'a': b'four'})"
    assert notebook.value(f"{job}.wait().logs()") == "'4 /nds/in/a\\n'"


def test_shell_script_leaves_values_as_files(notebook: Notebook) -> None:
    notebook.run(
        "%%ndsjob --out lines --out text\n#!/bin/sh\n"
        "echo 42 > $NDS_OUT/lines.json; printf 'as it is' > $NDS_OUT/text.txt\n"
    ).must_succeed()
    assert notebook.value("lines, text") == "(42, 'as it is')"


@pytest.mark.parametrize(
    ("setup", "line", "cell", "message"),
    [
        ("", "--in absent", "pass", "no variable of that name"),
        ("f = open", "--in f", "pass", "--pickle"),
        ("", "--out 'not a name'", "pass", "not the name of a variable"),
        ("", "--out never", "pass", "ended without a variable never"),
        ("", "--out gone", "#!/bin/sh\ntrue", "left no value gone"),
        ("", "--out r", "r = range(3)", "neither a plain value"),
        ("", "--out p", "#!/bin/sh\necho x > /results/p.pickle", "Give --pickle"),
        ("", "--out p.exe", "pass", "none of the formats"),
        ("x = [1]", "--in x.csv", "pass", "no table"),
        ("x = 1", "--in x --in x.json", "pass", "more than once"),
        ("", "--out j", "#!/bin/sh\necho '{' > /results/j.json", "can't be read"),
        (
            "%config NdsMagics.max_value_bytes = 999\nbig = b'x' * 1000",
            "--in big",
            "pass",
            "--data",
        ),
        ("%config NdsMagics.max_value_bytes = 999", "--out big", "big = 'x' * 1000", "%ndsget"),
    ],
)
def test_what_cannot_travel_says_why(
    notebook: Notebook, setup: str, line: str, cell: str, message: str
) -> None:
    notebook.run(setup or "pass").must_succeed()
    done = notebook.run(f"%%ndsjob {line}\n{cell}")
    notebook.run("%config NdsMagics.max_value_bytes = 2 * 2**30").must_succeed()
    assert done.reply["status"] == "error"
    assert message in done.shown_error + done.stderr


def test_pickle_is_used_when_it_is_asked_for(notebook: Notebook) -> None:
    notebook.run("steps = range(3)").must_succeed()
    notebook.run("%%ndsjob --pickle --in steps --out back\nback = range(len(steps) * 2)")
    assert notebook.value("back") == "range(0, 6)"


def test_failed_job_changes_no_variable(notebook: Notebook) -> None:
    notebook.run("kept = 1").must_succeed()
    assert notebook.run("%%ndsjob --in kept --out kept\nkept = 2; 1 / 0").error
    assert notebook.value("kept") == "1"
