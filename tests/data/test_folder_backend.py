"""A folder as the data root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nds_jupyter.data.data_root import DataRoot, default_root, open_backend
from nds_jupyter.data.input_plan import make_plan
from nds_jupyter.errors import (
    DataError,
    Forbidden,
)
from nds_jupyter.jobs.job import Input
from tests.data.inspection import Chunks, content, listed_names


async def test_no_link_leads_out_of_a_folder(tmp_path: Path, chunks: Chunks) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "out").symlink_to(outside)
    (folder / "file").symlink_to(outside / "secret")
    (folder / "gone").symlink_to("nowhere")
    (folder / "real").write_text("mine")
    (folder / "in").symlink_to("real")
    data_root = DataRoot(open_backend(str(folder)))
    assert await listed_names(data_root, "/") == ["in", "real"]
    assert await content(data_root, "/in") == b"mine"
    for act in (
        data_root.entry("/file"),
        data_root.list_page("/out"),
        data_root.entry("/out/secret"),
        data_root.remove("/out/secret"),
        data_root.write("/out/new", chunks(b"x")),
        data_root.move("/real", "/out/real"),
        data_root.make_collection("/out/new"),
        data_root.set_metadata("/file", ()),
    ):
        with pytest.raises(Forbidden):
            await act
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]
    await data_root.close()


async def test_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    data_root = DataRoot(open_backend(str(tmp_path)))
    entry = (await data_root.entry("/pipe")).path
    with pytest.raises(DataError, match="plain"):
        await data_root.call(entry, lambda full: data_root.backend.open_read(full, 0))
    await data_root.close()


async def test_unreadable_file_fails_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jp_asyncio_loop: object
) -> None:
    data_root = DataRoot(open_backend(str(tmp_path / "root")), threads=1)
    (tmp_path / "root" / "c").mkdir(parents=True)
    (tmp_path / "root" / "c" / "open").write_text("1")
    (tmp_path / "root" / "c" / "secret").touch(mode=0)
    # Permissions do not bind root, whom tests may run as.
    monkeypatch.setattr(os, "access", lambda path, mode: bool(Path(path).stat().st_mode & 0o444))
    try:
        with pytest.raises(Forbidden, match="/c/secret"):
            await make_plan(data_root, (Input(path="/c", to="/data/c"),), 100)
    finally:
        await data_root.close()


def test_default_root_is_irods_only_where_it_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("IRODS_ENVIRONMENT_FILE", raising=False)
    assert default_root("/srv/work") == "/srv/work/nds-data"
    (tmp_path / ".irods").mkdir()
    (tmp_path / ".irods" / "irods_environment.json").write_text("{}")
    assert default_root("/srv/work") == "irods://"
    monkeypatch.setenv("IRODS_ENVIRONMENT_FILE", str(tmp_path / "none"))
    assert default_root("/srv/work") == "/srv/work/nds-data"
