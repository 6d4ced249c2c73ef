"""What the doctor says when one thing is broken: of a real server, over HTTP, by sentence and fix.

The engine is the one in memory, since it can be taken down by itself.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tornado.httputil import format_timestamp

from nds_jupyter.client import Client
from nds_jupyter.client.doctor import Diagnosis, Finding, diagnose
from nds_jupyter.jobs.byte_sizes import size_text
from tests.engine.fake import FakeEngine
from tests.handlers.identities import ADA, READER, NamedUsers, ReadersLook
from tests.irods_zone.zone import Zone

Diagnose = Callable[..., Awaitable[Diagnosis]]


@pytest.fixture(params=["fake"])
def engine_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(nds: Any, http_server: Any, http_server_port: Any, jp_base_url: str) -> str:
    return f"http://127.0.0.1:{http_server_port[-1]}{jp_base_url}"


@pytest.fixture
def ask_doctor(url: str, jp_serverapp: Any) -> Diagnose:
    """Ask the doctor in a thread, as a kernel is beside its server."""

    async def ask(token: str = jp_serverapp.identity_provider.token, **place: str) -> Diagnosis:
        with Client(place.get("url", url), token) as client:
            return await asyncio.to_thread(diagnose, lambda: client)

    return ask


def wrong(diagnosis: Diagnosis) -> dict[str, Finding]:
    """Return what is wrong, by part; each must say what to do."""
    found = {each.part: each for each in diagnosis.findings if not each.well}
    for each in found.values():
        assert each.said, each
        assert each.fix, each
        assert each.fix in repr(diagnosis)
    assert diagnosis.well is not bool(found)
    return found


@pytest.fixture(autouse=True)
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be content with the disk of the machine that runs the tests."""
    monkeypatch.setattr("nds_jupyter.client.doctor.MIN_FREE_SPACE", 2**20)


async def test_nothing_is_wrong(ask_doctor: Diagnose) -> None:
    diagnosis = await ask_doctor()
    assert wrong(diagnosis) == {}
    parts = [each.part for each in diagnosis.findings]
    assert parts[:6] == ["server", "version", "engine", "journal", "data root", "images"]
    assert parts[6:] == ["permission", "clock", "disk", "server's disk"]
    assert "found by the configured URL" in diagnosis.findings[0].said


async def test_engine_that_is_down(ask_doctor: Diagnose, fake_engine: FakeEngine) -> None:
    fake_engine.faults.go_down()
    found = wrong(await ask_doctor())
    assert found.keys() == {"engine", "images"}
    assert "Start Docker" in found["engine"].fix
    assert found["images"].fix == "See engine."


async def test_engine_without_images(ask_doctor: Diagnose, fake_engine: FakeEngine) -> None:
    fake_engine.files.clear()
    found = wrong(await ask_doctor())
    assert found.keys() == {"images"}
    assert "docker pull" in found["images"].fix


async def test_another_version(ask_doctor: Diagnose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nds_jupyter.services.server_status.__version__", "0.0.1")
    found = wrong(await ask_doctor())
    assert found.keys() == {"version"}
    assert "0.0.1 on the server" in found["version"].said


async def test_clocks_apart(ask_doctor: Diagnose, monkeypatch: pytest.MonkeyPatch) -> None:
    an_hour_ago = format_timestamp(datetime.now(UTC) - timedelta(hours=1))
    monkeypatch.setattr("tornado.httputil.format_timestamp", lambda when: an_hour_ago)
    found = wrong(await ask_doctor())
    assert found.keys() == {"clock"}
    assert "s apart from the server's" in found["clock"].said


async def test_data_root_that_is_gone(ask_doctor: Diagnose, tmp_path: Path) -> None:
    await asyncio.to_thread((tmp_path / "stored").rmdir)
    found = wrong(await ask_doctor())
    assert found.keys() == {"data root"}
    assert "c.NdsApp.data_root" in found["data root"].fix


async def test_little_room_here(
    ask_doctor: Diagnose, monkeypatch: pytest.MonkeyPatch, small_disk: Path
) -> None:
    monkeypatch.chdir(small_disk)
    monkeypatch.setattr("nds_jupyter.client.doctor.MIN_FREE_SPACE", 2 * 2**20)
    found = wrong(await ask_doctor())
    assert found.keys() == {"disk"}
    assert size_text(2**20) in found["disk"].said


async def test_wrong_token(ask_doctor: Diagnose) -> None:
    found = wrong(await ask_doctor("not-the-token"))
    assert found.keys() == {"server"}
    assert "token" in found["server"].fix


async def test_server_without_the_extension(ask_doctor: Diagnose, url: str) -> None:
    found = wrong(await ask_doctor(url=f"{url}elsewhere/"))
    assert found.keys() == {"server"}
    assert "jupyter server extension list" in found["server"].said


async def test_server_that_does_not_answer(ask_doctor: Diagnose) -> None:
    found = wrong(await ask_doctor(url="http://127.0.0.1:9/"))
    assert found.keys() == {"server"}
    assert "Is it running?" in found["server"].said


def test_no_server_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("NDS_", "JPY_", "JUPYTERHUB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    found = wrong(diagnose(Client))
    assert "No Jupyter server with nds_jupyter was found. Tried: " in found["server"].said


class TestSmallDisk:
    """The server keeps its record on a disk without room."""

    @pytest.fixture
    def jp_server_config(
        self, jp_server_config: dict[str, Any], small_disk: Path
    ) -> dict[str, Any]:
        jp_server_config["NdsApp"]["journal_dir"] = str(small_disk / "journal")
        return jp_server_config

    async def test_it_is_the_servers(self, ask_doctor: Diagnose) -> None:
        found = wrong(await ask_doctor())
        assert found.keys() == {"server's disk"}
        assert "no job can be accepted" in found["server's disk"].fix


class TestReaders:
    """A server on which some may look, and not run."""

    @pytest.fixture
    def jp_server_config(self, jp_server_config: dict[str, Any]) -> dict[str, Any]:
        jp_server_config["ServerApp"] |= {
            "identity_provider_class": NamedUsers,
            "authorizer_class": ReadersLook,
        }
        return jp_server_config

    async def test_reader_may_not_run(self, ask_doctor: Diagnose) -> None:
        assert wrong(await ask_doctor(ADA)) == {}
        found = wrong(await ask_doctor(READER))
        assert found.keys() == {"permission"}
        assert "right to write" in found["permission"].fix


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
class TestZone:
    """A data root in iRODS that is not as it was configured."""

    @pytest.fixture
    def jp_server_config(
        self, jp_server_config: dict[str, Any], faulty_zone: Zone, monkeypatch: pytest.MonkeyPatch
    ) -> dict[str, Any]:
        monkeypatch.setenv("IRODS_ENVIRONMENT_FILE", str(faulty_zone.environment_file()))
        jp_server_config["NdsApp"]["data_root"] = f"irods://{faulty_zone.home()}"
        return jp_server_config

    @pytest.mark.usefixtures("little_patience")
    async def test_zone_that_is_down(self, ask_doctor: Diagnose, faulty_zone: Zone) -> None:
        assert wrong(await ask_doctor()) == {}
        faulty_zone.faults.refuse()
        faulty_zone.faults.drop_now()
        found = wrong(await ask_doctor())
        assert found.keys() == {"data root"}


class TestOwnAccounts:
    """A data root to which each owner must log in."""

    @pytest.fixture
    def jp_server_config(self, jp_server_config: dict[str, Any]) -> dict[str, Any]:
        jp_server_config["NdsApp"] |= {"data_root": "irods://", "data_identity": "own"}
        return jp_server_config

    async def test_who_has_not_logged_in_is_told_how(self, ask_doctor: Diagnose) -> None:
        found = wrong(await ask_doctor())
        assert found.keys() == {"data root"}
        assert "%ndslogin" in found["data root"].said
