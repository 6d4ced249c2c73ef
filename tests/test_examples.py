"""The example notebooks run as they are: real server, real kernel, real engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from dev.engine_api import Endpoint
from dev.images import PYTHON_IMAGE
from dev.jupyter import Server, execute
from tests.irods_zone.fixtures import AnyZone
from tests.servers import isolated_server

EXAMPLES = sorted((Path(__file__).resolve().parent.parent / "examples").glob("*.ipynb"))
OVER_DATA = [path for path in EXAMPLES if path.stem in {"data", "sweep"}]


@pytest.fixture
def zone_server(
    docker_engine: Endpoint, irods_zone: AnyZone, irods_home: str, tmp_path: Path
) -> Iterator[Server]:
    """Give a server that finds an iRODS account as its users have it; nothing else differs."""
    file = tmp_path / "irods_environment.json"
    file.write_text(json.dumps({**irods_zone.environment(), "irods_home": irods_home}))
    account = {"IRODS_ENVIRONMENT_FILE": str(file), "IRODS_PASSWORD": irods_zone.password()}
    with isolated_server(docker_engine, PYTHON_IMAGE, tmp_path, environment=account) as started:
        yield started


def assert_it_runs(server: Server, path: Path) -> list[dict[str, Any]]:
    before = {job["job_id"] for job in server.ask("GET", "nds/jobs")}
    executed = execute(server, path)
    assert any(cell.get("outputs") for cell in executed.cells)
    made = [job for job in server.ask("GET", "nds/jobs") if job["job_id"] not in before]
    assert made
    assert {job["state"] for job in made} == {"COMPLETED"}, made
    return made


@pytest.mark.engine
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_its_jobs_end_well(server: Server, path: Path) -> None:
    assert_it_runs(server, path)


@pytest.mark.engine
@pytest.mark.parametrize("path", OVER_DATA, ids=lambda path: path.stem)
def test_example_over_data_is_the_same_in_a_zone(
    zone_server: Server, irods_zone: AnyZone, irods_home: str, path: Path
) -> None:
    delivered = [job["output"] for job in assert_it_runs(zone_server, path) if job["output"]]
    assert delivered
    with irods_zone.session() as session:
        for output in delivered:
            assert output.startswith(f"{irods_home}/nds-")
            [written] = session.collections.get(output).data_objects
            assert written.checksum.startswith("sha2:"), written.path
            assert {avu.name for avu in written.metadata.items()} >= {"nds.job", "nds.input"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_committed_without_outputs(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
