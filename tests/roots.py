"""Data roots as their owners reach them, beside the server: a folder, a zone, or one that fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from irods.access import iRODSAccess

from tests.irods_zone.fixtures import AnyZone

WRONG = "not the password"

AWKWARD = [
    "with space",
    "ünï-名前-🙂",
    'quote\'s "double"',
    "star*[a]?{b}",
    "a?b#c&d=e+f;g",
    "50%20%2F",
    "back\\slash",
    "-dash",
    "new\nline",
    "n" * 255,
]
"""Names that a folder and a zone can have, and that something between them could trip over."""


class Root:
    """A data root beside the server.

    Parameters
    ----------
    url
        What `c.NdsApp.data_root` says.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.fs, self.base = fsspec.core.url_to_fs(url, skip_instance_cache=True)
        self.fs.makedirs(self.base, exist_ok=True)

    def put(self, path: str, content: bytes) -> None:
        """Store an object, and make the collections that it needs."""
        self.mkdir(path.rpartition("/")[0])
        self.fs.pipe_file(f"{self.base}{path}", content)

    def mkdir(self, path: str) -> None:
        self.fs.makedirs(f"{self.base}{path}", exist_ok=True)

    def get(self, path: str) -> bytes:
        return bytes(self.fs.cat_file(f"{self.base}{path}"))

    def names(self, path: str = "") -> set[str]:
        """Return the names in a collection, also those that listings of the server don't show."""
        below = self.fs.ls(f"{self.base}{path}", detail=False)
        return {each.rpartition("/")[2] for each in below}

    def hidden(self, path: str = "") -> list[str]:
        """Return what is being written, or was left by who wrote it."""
        found = self.fs.find(f"{self.base}{path}", withdirs=True)
        return [each for each in found if "/.nds-" in each]


@pytest.fixture(params=["folder", "irods"])
def data_root(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Root]:
    """Give a folder and a zone, or what a test asks for.

    That may be `faulty`, a zone in which things go wrong on demand; one with the `wrong password`;
    or one whose account may only read, but for `/shared/mine` (`reader`).
    """
    if request.param == "folder":
        yield Root(str(tmp_path / "stored"))
        return
    if request.param in {"irods", "reader"}:
        zone: AnyZone = request.getfixturevalue("irods_zone")
        collection = request.getfixturevalue("irods_home")
    else:
        # A zone of our own, never a real one.
        zone = request.getfixturevalue("faulty_zone")
        collection = f"{zone.home()}/root"
    configure(zone, tmp_path, monkeypatch)
    root = Root(f"irods://{collection}")
    if request.param == "wrong password":
        monkeypatch.setenv("IRODS_PASSWORD", WRONG)
    elif request.param == "reader":
        root.put("/shared/x", b"shared")
        root.mkdir("/shared/mine")
        let_read(zone, collection, tmp_path, monkeypatch)
    yield root
    root.fs.close()


def let_read(zone: AnyZone, collection: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let another user read a collection, and write to one in it; be that user from now on."""
    configure(zone, folder, monkeypatch, "alice")
    with zone.session() as session:
        mine = f"{collection}/shared/mine"
        session.acls.set(iRODSAccess("read", collection, "alice", zone.name), recursive=True)
        session.acls.set(iRODSAccess("own", mine, "alice", zone.name))
        # So that whoever made it can remove what another user puts there.
        session.acls.set(iRODSAccess("inherit", mine))


def configure(
    zone: AnyZone, folder: Path, monkeypatch: pytest.MonkeyPatch, user: str | None = None
) -> None:
    """Configure a zone as its users do, by one environment file."""
    for name, value in environment_of(zone, folder, user).items():
        monkeypatch.setenv(name, value)


def environment_of(zone: AnyZone, folder: Path, user: str | None = None) -> dict[str, str]:
    """Write an environment file, and return the variables that name it and give the password."""
    who = () if user is None else (user,)
    file = folder / "irods_environment.json"
    file.write_text(json.dumps(zone.environment(*who)))
    return {"IRODS_ENVIRONMENT_FILE": str(file), "IRODS_PASSWORD": zone.password(*who)}
