"""A zone of another process, named by the environment as a real one is."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from irods.exception import UserDoesNotExist
from irods.password_obfuscation import decode

from nds_jupyter.data.irods import IrodsFileSystem
from tests.irods_zone.fixtures import AnyZone
from tests.irods_zone.real_zone import RealZone

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(params=[[], ["--tls"]], ids=["plain", "TLS"])
def environment_file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    command = [sys.executable, "-m", "tests.irods_zone", str(tmp_path), *request.param]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        yield Path(child.stdout.readline().strip())
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=60) == 0


def filesystem(zone: AnyZone, *user: str) -> IrodsFileSystem:
    return IrodsFileSystem(
        password=zone.password(*user), skip_instance_cache=True, **zone.environment(*user)
    )


def test_named_zone_is_used_and_left_as_it_was(
    environment_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = decode(environment_file.with_name(".irodsA").read_text())
    monkeypatch.setenv("NDS_TEST_IRODS_PASSWORD", password)
    with contextlib.closing(RealZone(str(environment_file))) as zone:
        fs = filesystem(zone)
        fs.pipe_file(f"{zone.home()}/x", b"1")
        other = filesystem(zone, "alice")
        other.pipe_file(f"{zone.home('alice')}/y", b"2")
        assert not other.exists(f"{zone.home()}/x")
        with zone.session("alice") as session:
            assert session.username == "alice"
            assert session.data_objects.exists(f"{zone.home('alice')}/y")
        with zone.session() as session:
            assert session.users.get("alice").name == "alice"
    with zone.session() as session, pytest.raises(UserDoesNotExist):
        session.users.get("alice")
    assert fs.cat_file(f"{zone.home()}/x") == b"1"
    fs.close()
    other.close()
