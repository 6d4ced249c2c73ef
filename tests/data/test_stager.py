"""Program of the stager container, run beside a zone instead of in a container."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from nds_jupyter.data import stager
from nds_jupyter.data.stager_protocol import StagerRequest
from nds_jupyter.jobs.job import Input
from tests.irods_zone.zone import Zone


def write_request(zone: Zone, folder: Path, inputs: tuple[Input, ...]) -> Path:
    settings = zone.environment() | {"password": zone.password()}
    request = StagerRequest(settings=settings, base=zone.home(), inputs=inputs, max_entries=100)
    path = folder / "request"
    path.write_bytes(msgspec.json.encode(request))
    return path


def run_stager(
    request: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, list[dict[str, object]]]:
    root.mkdir()
    download = stager.download_inputs
    monkeypatch.setattr(stager, "REQUEST_PATH", str(request))
    monkeypatch.setattr(
        stager, "download_inputs", lambda request, _, folder: download(request, root, folder)
    )
    code = stager.main()
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_inputs_are_downloaded_and_progress_is_reported(
    faulty_zone: Zone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with faulty_zone.session() as session:
        session.collections.create(f"{faulty_zone.home()}/in/below")
    faulty_zone.fill(f"{faulty_zone.home()}/in", ["large"], b"x" * 2**20)
    faulty_zone.fill(f"{faulty_zone.home()}/in/below", ["a", "ünicode"], b"small")
    request = write_request(faulty_zone, tmp_path, (Input(path="/in", to="/data/in"),))
    code, messages = run_stager(request, tmp_path / "root", monkeypatch, capsys)
    assert (code, messages[-1]) == (0, {"done": 2**20 + 10, "total": 2**20 + 10})
    data = tmp_path / "root" / "data" / "in"
    assert (data / "large").read_bytes() == b"x" * 2**20
    assert {path.name: path.read_bytes() for path in (data / "below").iterdir()} == {
        "a": b"small",
        "ünicode": b"small",
    }
    assert (data / "large").stat().st_mode & 0o777 == 0o644


def test_missing_input_is_reported_as_an_error(
    faulty_zone: Zone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    request = write_request(faulty_zone, tmp_path, (Input(path="/none", to="/data/none"),))
    code, messages = run_stager(request, tmp_path / "root", monkeypatch, capsys)
    assert code == 1
    assert "/none" in str(messages[-1]["error"])
