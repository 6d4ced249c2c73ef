"""Spool of sent files: complete or absent, separate for owners, kept while needed."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nds_jupyter.data.spool import MIN_RETENTION, Spool, SpoolLimits
from nds_jupyter.errors import Conflict, InvalidRequest, PathNotFound, TooLarge
from nds_jupyter.jobs.job import SentFile

CONTENT = os.urandom(3000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


async def chunks(content: bytes = CONTENT, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@asynccontextmanager
async def open_spool(folder: Path, **limits: float) -> AsyncIterator[Spool]:
    spool = Spool(folder, SpoolLimits(**limits))  # type: ignore[arg-type]
    try:
        yield spool
    finally:
        await spool.close()


def stored_names(folder: Path) -> list[str]:
    return [each.name for each in folder.glob("*/*")]


async def test_file_is_read_as_sent_by_its_owner_only(tmp_path: Path) -> None:
    async with open_spool(tmp_path / "spool") as spool:
        await spool.add("ada", SHA256, chunks(), len(CONTENT))
        entry = await spool.find("ada", SHA256)
        assert b"".join([chunk async for chunk in spool.read(entry)]) == CONTENT
        with pytest.raises(PathNotFound, match=SHA256):
            await spool.find("bob/../ada", SHA256)
    [folder] = (tmp_path / "spool").iterdir()
    assert [each.stat().st_mode & 0o777 for each in (tmp_path / "spool", folder)] == [0o700] * 2


async def test_sending_the_same_again_changes_nothing(tmp_path: Path) -> None:
    async with open_spool(tmp_path) as spool:
        first = await spool.add("ada", SHA256, chunks())
        again = await spool.add("ada", SHA256, chunks(size=700))
        assert again == first
    assert stored_names(tmp_path) == [SHA256]


async def interrupted_chunks() -> AsyncIterator[bytes]:
    yield CONTENT[:1000]
    raise EOFError("the sender went away")


@pytest.mark.parametrize(
    ("sent", "bounds", "error"),
    [
        (lambda: chunks(CONTENT[:-1]), {}, InvalidRequest),
        (interrupted_chunks, {}, EOFError),
        (chunks, {"max_file_bytes": 2999}, TooLarge),
        (lambda: chunks(CONTENT * 2), {"max_file_bytes": 3000}, TooLarge),
        (chunks, {"max_owner_bytes": 2999}, TooLarge),
    ],
)
async def test_failed_upload_leaves_nothing(
    tmp_path: Path,
    sent: Callable[[], AsyncIterator[bytes]],
    bounds: dict[str, float],
    error: type[Exception],
) -> None:
    async with open_spool(tmp_path, **bounds) as spool:
        for length in (len(CONTENT), None):
            with pytest.raises(error):
                await spool.add("ada", SHA256, sent(), length)
            assert stored_names(tmp_path) == []


async def test_quota_of_an_owner_points_to_the_data_root(tmp_path: Path) -> None:
    async with open_spool(tmp_path, max_owner_bytes=5000) as spool:
        await spool.add("ada", SHA256, chunks(), 3000)
        other = hashlib.sha256(b"x" * 3000).hexdigest()
        with pytest.raises(TooLarge, match="data root"):
            await spool.add("ada", other, chunks(b"x" * 3000), 3000)
        # What is there already takes no room, and others have their own.
        await spool.add("ada", SHA256, chunks(), 3000)
        await spool.add("bob", other, chunks(b"x" * 3000), 3000)


@pytest.mark.parametrize(
    "digest",
    ["", "..", "x" * 64, SHA256.upper(), SHA256[:-1], SHA256 + "0"],
    ids=["none", "parent", "other letters", "capitals", "one less", "one more"],
)
async def test_only_digests_are_names(tmp_path: Path, digest: str) -> None:
    async with open_spool(tmp_path) as spool:
        with pytest.raises(InvalidRequest, match="sha256"):
            await spool.add("ada", digest, chunks())
        with pytest.raises(InvalidRequest, match="sha256"):
            await spool.find("ada", digest)


async def test_job_without_its_file_names_what_is_missing(tmp_path: Path) -> None:
    there, gone = SentFile(sha256=SHA256, to="/nds/in/x"), SentFile(sha256="0" * 64, to="/data/y")
    async with open_spool(tmp_path) as spool:
        await spool.add("ada", SHA256, chunks())
        [found] = await spool.with_sizes("ada", [there])
        assert found.size == len(CONTENT)
        with pytest.raises(Conflict, match="/data/y") as error:
            await spool.with_sizes("ada", [there, gone])
        assert error.value.details["missing"] == ["0" * 64]
        assert await spool.first_missing("ada", [found]) is None
        assert await spool.first_missing("ada", [found, gone]) == gone


def leave_partial_file(folder: Path) -> None:
    [of_owner] = folder.iterdir()
    (of_owner / ".nds-0123456789abcdef.part").write_bytes(b"half")


def set_age(folder: Path, name: str, seconds: float) -> None:
    [file] = folder.glob(f"*/{name}")
    os.utime(file, (time.time() - seconds, time.time() - seconds))


async def test_unneeded_file_is_removed_after_its_retention(tmp_path: Path) -> None:
    async with open_spool(tmp_path, retention=0) as spool:
        await spool.add("ada", SHA256, chunks())
        await spool.remove_expired(set())
        assert stored_names(tmp_path) == [SHA256]
        set_age(tmp_path, SHA256, MIN_RETENTION + 60)
        await spool.remove_expired({("ada", SHA256)})
        assert stored_names(tmp_path) == [SHA256]
        await spool.remove_expired({("bob", SHA256)})
        assert stored_names(tmp_path) == []


async def test_use_extends_the_retention_and_changes_nothing(tmp_path: Path) -> None:
    async with open_spool(tmp_path, retention=0) as spool:
        before = await spool.add("ada", SHA256, chunks())
        set_age(tmp_path, SHA256, MIN_RETENTION + 60)
        aged = await spool.find("ada", SHA256)
        await spool.remove_expired(set())
        assert await spool.find("ada", SHA256) == aged
        assert aged.size == before.size


async def test_partial_files_of_a_killed_server_are_removed(tmp_path: Path) -> None:
    async with open_spool(tmp_path) as spool:
        await spool.add("ada", SHA256, chunks())
        leave_partial_file(tmp_path)
        await spool.remove_partial_files()
    assert stored_names(tmp_path) == [SHA256]
