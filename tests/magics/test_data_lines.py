"""The data root in a notebook: list, upload, a job over data, its results, metadata."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.engine_api import Endpoint
from dev.images import PYTHON_IMAGE
from tests.irods_zone.fixtures import AnyZone
from tests.magics.notebook import Notebook, open_notebook
from tests.roots import environment_of
from tests.servers import isolated_server

pytestmark = [pytest.mark.engine, pytest.mark.kernel]


class DataNotebook:
    """A notebook, and a collection with the data of its jobs.

    Parameters
    ----------
    url
        Of the same collection.
    """

    def __init__(self, notebook: Notebook, collection: str, url: str) -> None:
        self.notebook = notebook
        self.collection = collection
        self.url = url


@pytest.fixture(scope="module", params=["folder", "irods"])
def data(
    request: pytest.FixtureRequest,
    docker_engine: Endpoint,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[DataNotebook]:
    folder = tmp_path_factory.mktemp("server")
    environment: dict[str, str] = {}
    home = ""
    url = f"file://{folder}/nds-data"
    if request.param == "irods":
        zone: AnyZone = request.getfixturevalue("irods_zone")
        environment = environment_of(zone, folder)
        home = request.getfixturevalue("irods_home_of_module")
        url = f"irods://{home}"
    with (
        isolated_server(docker_engine, PYTHON_IMAGE, folder, environment=environment) as server,
        open_notebook(server) as notebook,
    ):
        yield DataNotebook(notebook, f"{home}/lines", f"{url}/lines")


def progress_bars(status: list[str]) -> list[str]:
    return [line for line in status if line.startswith(("█", "░"))]


def test_job_over_data_and_back(data: DataNotebook, tmp_path: Path) -> None:
    notebook, at = data.notebook, data.collection
    local = tmp_path / "ünï 1.txt"
    local.write_text("one")
    folder = tmp_path / "more"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "x").write_text("two")
    put = notebook.run(f"%ndsput '{local}' {at}/").must_succeed()
    assert [line.split("  ")[-1] for line in progress_bars(put.status)] == ["ünï 1.txt"]
    assert progress_bars(put.status)[-1].startswith("█" * 30 + " 3 ")
    notebook.run(f"%ndsput '{folder}' {at}/more").must_succeed()
    listed = notebook.run(f"t = %ndsls {at}\nprint(list(t))")
    assert f"{at}/ünï 1.txt" in listed.must_succeed().stdout
    assert f"{at}/more/" in listed.stdout
    again = notebook.run(f"%ndsput '{local}' {at}/")
    assert "exists" in again.stderr + again.shown_error
    notebook.run(f"%ndsput --overwrite '{local}' {at}/").must_succeed()
    cell = notebook.run(
        f"%%ndsjob --job over --data '{at}/ünï 1.txt:/in/one' --data {at}/more --output {at}/out\n"
        "print(open('/in/one').read() + open('/data/more/deep/x').read())\n"
        "open('/results/sum', 'w').write('onetwo')"
    ).must_succeed()
    assert "onetwo" in cell.stdout
    to = tmp_path / "got"
    got = notebook.run(f"files = %ndsget {at} --to {to}\nprint(len(files))").must_succeed()
    assert got.stdout.strip().endswith("3")
    assert {line.split("  ")[-1] for line in progress_bars(got.status)} == {"ünï 1.txt", "x", "sum"}
    assert (to / "lines" / "out" / "sum").read_text() == "onetwo"
    assert (to / "lines" / "more" / "deep" / "x").read_text() == "two"
    missing = notebook.run(f"%%ndsjob --data {at}/none\nprint()")
    assert f"{at}/none" in missing.stderr + missing.shown_error + missing.log


def test_urls_name_the_same_data(data: DataNotebook, tmp_path: Path) -> None:
    notebook = data.notebook
    (tmp_path / "big").write_bytes(bytes(3 * 2**20))
    line = f"p = %ndsput {tmp_path}/big {data.url}/by-url/\nprint(p)"
    put = notebook.run(line).must_succeed()
    assert f"{data.collection}/by-url/big" in put.stdout
    assert len(progress_bars(put.status)) >= 1
    assert "of 3 MiB" in progress_bars(put.status)[-1]
    to = tmp_path / "got"
    got = notebook.run(f"files = %ndsget {data.url}/by-url/big --to {to}").must_succeed()
    assert (to / "big").read_bytes() == bytes(3 * 2**20)
    assert progress_bars(got.status)[-1].startswith("█" * 30)
    cell = notebook.run(
        f"%%ndsjob --data {data.url}/by-url/big:/in/big --output {data.url}/url-out\n"
        "import os\nopen('/results/size', 'w').write(str(os.path.getsize('/in/big')))"
    ).must_succeed()
    shown = notebook.run(f"m = %ndsmeta {data.url}/url-out/size\nprint(list(m))")
    assert f"{data.collection}/by-url/big" in shown.must_succeed().stdout, cell.log


def test_metadata_is_set_replaced_and_removed(data: DataNotebook, tmp_path: Path) -> None:
    notebook, path = data.notebook, f"{data.collection}/meta/x"
    (tmp_path / "x").write_text("1")
    notebook.run(f"%ndsput {tmp_path}/x {data.collection}/meta/").must_succeed()

    def metadata_text(options: str = "", what: str = path) -> str:
        return notebook.run(f"m = %ndsmeta {what} {options}\nprint(list(m))").must_succeed().stdout

    assert metadata_text() == "[]\n"
    assert metadata_text("--set study=7 --unit kg") == "[('study', '7', 'kg')]\n"
    assert sorted(eval(metadata_text("--set study=8 --set 'by=Ada B'"))) == [
        ("by", "Ada B", ""),
        ("study", "8", ""),
    ]
    assert metadata_text("--remove by") == "[('study', '8', '')]\n"
    assert (
        metadata_text("--set of=collection", f"{data.collection}/meta")
        == "[('of', 'collection', '')]\n"
    )
    wrong = notebook.run(f"%ndsmeta {path} --set study")
    assert "NAME=VALUE" in wrong.stderr + wrong.shown_error
    absent = notebook.run(f"%ndsmeta {path}-none")
    assert f"{path}-none" in absent.stderr + absent.shown_error


def test_logical_paths_are_completed(data: DataNotebook, tmp_path: Path) -> None:
    notebook, at = data.notebook, data.collection
    for number in range(120):
        (tmp_path / f"a{number:03d}").touch()
    (tmp_path / "zebra").touch()
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "x").touch()
    notebook.run(f"%ndsput {tmp_path} {at}/many").must_succeed()
    for magic in ("%ndsls ", "%ndsmeta ", "%%ndsjob --data ", "%%ndsjob --output "):
        for start in (at, data.url):
            what = {f"{start}/many/zebra": "data object", f"{start}/many/zoo/": "collection"}
            notebook.must_offer(f"{magic}{start}/many/z", what)
