"""`%%ndsjob --requirements --dockerfile`: pip in a real build, in a real kernel, the log live."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dev.engine_api import Endpoint, ask
from dev.images import PIP_IMAGE
from tests.magics.notebook import Cell, Notebook
from tests.package_index import MODULE, PACKAGE, PackageIndex
from tests.waiting import wait_until

pytestmark = [pytest.mark.engine, pytest.mark.kernel]

GREET = f"import {MODULE}; print({MODULE}.GREETING)"


def cell_with(options: str, script: str = GREET) -> str:
    return f"%%ndsjob --image {PIP_IMAGE} {options}\n{script}"


def labels(endpoint: Endpoint, reference: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(ask(endpoint, "GET", f"/images/{reference}/json"))["Config"][
        "Labels"
    ]
    return found


def test_requirements_are_installed_once_and_the_log_is_live(
    notebook: Notebook, package_index: PackageIndex, docker_engine: Endpoint, tmp_path: Path
) -> None:
    path = tmp_path / "needs.txt"
    path.write_text(package_index.requirements(f"{PACKAGE}>=1"))
    phases: list[str] = []

    def look(cell: Cell) -> None:
        if "Step 1" in cell.stdout and not phases:
            phases.append(notebook.jobs()[0]["phase"])

    sent = notebook.start(cell_with(f"--requirements {path} --job built"))
    cell = notebook.finish(sent, look).must_succeed()
    assert phases == ["pulling"]
    assert f"Successfully installed {PACKAGE}-1.0+{package_index.greeting}" in cell.stdout
    assert cell.stdout.splitlines()[-1] == package_index.greeting
    image = notebook.value("built.info().image").strip("'")
    assert labels(docker_engine, image)["nds.build"] == PIP_IMAGE
    assert "nds.server" in labels(docker_engine, image)

    asked = list(package_index.asked)
    again = notebook.run(cell_with(f"--requirements {path} --job again")).must_succeed()
    assert again.stdout == f"{package_index.greeting}\n"
    assert package_index.asked == asked
    assert notebook.value("again.info().image").strip("'") == image


def test_packages_stand_on_the_line_as_well(
    notebook: Notebook, package_index: PackageIndex
) -> None:
    named = f"{PACKAGE} @ {package_index.wheel}"
    cell = notebook.run(cell_with(f'--requirements "{named}" --quiet --job named'))
    cell.must_succeed()
    assert notebook.value("named.logs()") == repr(f"{package_index.greeting}\n")
    bare = notebook.run(cell_with(f"--requirements {package_index.wheel}"))
    assert bare.must_succeed().stdout.splitlines()[-1] == package_index.greeting


def test_failing_build_ends_the_cell_with_the_reason_and_its_last_lines(
    notebook: Notebook, package_index: PackageIndex, tmp_path: Path
) -> None:
    path = tmp_path / "needs.txt"
    path.write_text(package_index.requirements("nds-absent"))
    cell = notebook.run(cell_with(f"--requirements {path} --job unbuilt"))
    assert cell.error["ename"] == "JobError"
    assert "(image)" in cell.shown_error
    assert "No matching distribution found for nds-absent" in cell.shown_error
    assert "No matching distribution found for nds-absent" in cell.stdout
    assert notebook.value("unbuilt.view.reason.value, unbuilt.view.container_id") == (
        "('image', None)"
    )


def test_dockerfile_comes_from_a_variable_or_a_file(
    notebook: Notebook, package_index: PackageIndex, tmp_path: Path
) -> None:
    recipe = f"FROM {PIP_IMAGE}\nRUN echo {package_index.greeting} > /made\n"
    notebook.run(f"recipe = {recipe!r}").must_succeed()
    show = "print(open('/made').read().strip())"
    cell = notebook.run(f"%%ndsjob --dockerfile recipe\n{show}").must_succeed()
    assert f"echo {package_index.greeting} > /made" in cell.stdout
    assert cell.stdout.splitlines()[-1] == package_index.greeting
    path = tmp_path / "Dockerfile"
    path.write_text(recipe)
    again = notebook.run(f"%%ndsjob --dockerfile {path}\n{show}").must_succeed()
    assert again.stdout == f"{package_index.greeting}\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--requirements absent.txt", "there is no file absent.txt"),
        ("--dockerfile absent", "neither a file nor a variable"),
        ("--dockerfile absent --requirements numpy", "give one of them"),
        ("--requirement numpy", "did you mean --requirements?"),
    ],
)
def test_wrong_line_sends_nothing(notebook: Notebook, options: str, message: str) -> None:
    before = len(notebook.jobs())
    cell = notebook.run(f"%%ndsjob {options}\nprint()")
    assert message in cell.stderr + cell.shown_error
    assert len(notebook.jobs()) == before


def test_interrupt_while_its_image_is_built(
    notebook: Notebook, package_index: PackageIndex, docker_engine: Endpoint
) -> None:
    interrupts: list[bool] = []

    def look(cell: Cell) -> None:
        if package_index.greeting in cell.stdout and not interrupts:
            interrupts.append(True)
            notebook.interrupt()

    step = f"echo building {package_index.greeting}; sleep 600"
    notebook.run(f"endless = 'FROM {PIP_IMAGE}\\nRUN {step}'").must_succeed()
    sent = notebook.start("%%ndsjob --dockerfile endless --job cut\nprint()")
    cell = notebook.finish(sent, look)
    assert cell.error["ename"] == "KeyboardInterrupt"
    assert notebook.value("cut.refresh().view.reason.value") == "'stopped'"

    def steps() -> list[str]:
        listed = json.loads(ask(docker_engine, "GET", "/containers/json"))
        return [each["Command"] for each in listed if package_index.greeting in each["Command"]]

    wait_until(lambda: not steps(), steps)
