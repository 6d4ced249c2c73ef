"""The example notebooks run as they are: real server, real kernel, real engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from dev.engine_api import Endpoint
from dev.images import PYTHON_IMAGE
from dev.jupyter import Server, execute, jupyter_server
from tests.irods_zone.fixtures import AnyZone

EXAMPLES = sorted((Path(__file__).resolve().parent.parent / "examples").glob("*.ipynb"))


@pytest.fixture(scope="module")
def server(docker_engine: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with jupyter_server(docker_engine, PYTHON_IMAGE, folder) as started:
        yield started


@pytest.mark.engine
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_its_jobs_end_well(server: Server, path: Path) -> None:
    before = {job["job_id"] for job in server.ask("GET", "nds/jobs")}
    executed = execute(server, path)
    assert any(cell.get("outputs") for cell in executed.cells)
    made = [job for job in server.ask("GET", "nds/jobs") if job["job_id"] not in before]
    assert made
    assert {job["state"] for job in made} == {"COMPLETED"}, made


@pytest.mark.engine
def test_example_of_data_runs_over_a_zone(
    docker_engine: Endpoint, irods_zone: AnyZone, irods_home: str, tmp_path: Path
) -> None:
    """Nothing differs but the environment file."""
    path = next(path for path in EXAMPLES if path.stem == "data")
    file = tmp_path / "irods_environment.json"
    file.write_text(json.dumps({**irods_zone.environment(), "irods_home": irods_home}))
    environment = {
        "IRODS_ENVIRONMENT_FILE": str(file),
        "IRODS_PASSWORD": irods_zone.password(),
    }
    with jupyter_server(docker_engine, PYTHON_IMAGE, tmp_path, environment=environment) as server:
        execute(server, path)
        (job,) = server.ask("GET", "nds/jobs")
    assert job["state"] == "COMPLETED", job
    with irods_zone.session() as session:
        made = session.data_objects.get(f"{irods_home}/nds-example/summary/summary.csv")
        assert made.checksum.startswith("sha2:")
        assert {avu.name for avu in made.metadata.items()} >= {"nds.job", "nds.input"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_committed_without_outputs(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
