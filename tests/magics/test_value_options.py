"""Variables of the notebook in a script, and back, through a real container."""

from __future__ import annotations

import pytest

from dev.engine_api import Endpoint
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
    assert "numpy is not installed" in cell.shown_error


def test_shell_script_leaves_values_as_files(notebook: Notebook) -> None:
    notebook.run(
        "%%ndsjob --out lines --out text\n#!/bin/sh\n"
        "echo 42 > $NDS_OUT/lines.json; printf 'as it is' > $NDS_OUT/text.txt\n"
    ).must_succeed()
    assert notebook.value("lines, text") == "(42, 'as it is')"


@pytest.mark.parametrize(
    ("setup", "line", "cell", "said"),
    [
        ("", "--in absent", "pass", "no variable of that name"),
        ("f = open", "--in f", "pass", "--pickle"),
        ("", "--out 'not a name'", "pass", "not the name of a variable"),
        ("", "--out never", "pass", "ended without a variable never"),
        ("", "--out gone", "#!/bin/sh\ntrue", "left no value gone"),
        ("", "--out r", "r = range(3)", "neither a plain value"),
        ("", "--out p", "#!/bin/sh\necho x > /results/p.pickle", "Give --pickle"),
        ("", "--out j", "#!/bin/sh\necho '{' > /results/j.json", "can't be read"),
        ("import os; big = os.urandom(2_000_000)", "--in big", "pass", "--data"),
    ],
)
def test_what_cannot_travel_says_why(
    notebook: Notebook, setup: str, line: str, cell: str, said: str
) -> None:
    notebook.run(setup or "pass").must_succeed()
    done = notebook.run(f"%%ndsjob {line}\n{cell}")
    assert done.reply["status"] == "error"
    assert said in done.shown_error + done.stderr


def test_pickle_is_used_when_it_is_asked_for(notebook: Notebook) -> None:
    notebook.run("steps = range(3)").must_succeed()
    notebook.run("%%ndsjob --pickle --in steps --out back\nback = range(len(steps) * 2)")
    assert notebook.value("back") == "range(0, 6)"


def test_failed_job_changes_no_variable(notebook: Notebook) -> None:
    notebook.run("kept = 1").must_succeed()
    assert notebook.run("%%ndsjob --in kept --out kept\nkept = 2; 1 / 0").error
    assert notebook.value("kept") == "1"
