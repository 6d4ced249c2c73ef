"""Files that wait for their jobs: whole or not at all, each owner's own, kept while needed."""

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


async def pieces(content: bytes = CONTENT, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@asynccontextmanager
async def opened(folder: Path, **limits: float) -> AsyncIterator[Spool]:
    spool = Spool(folder, SpoolLimits(**limits))  # type: ignore[arg-type]
    try:
        yield spool
    finally:
        await spool.close()


def files(folder: Path) -> list[str]:
    return [each.name for each in folder.glob("*/*")]


async def test_file_is_read_as_it_was_sent_and_is_its_owners_own(tmp_path: Path) -> None:
    async with opened(tmp_path / "spool") as spool:
        await spool.add("ada", SHA256, pieces(), len(CONTENT))
        entry = await spool.find("ada", SHA256)
        assert b"".join([piece async for piece in spool.read(entry)]) == CONTENT
        with pytest.raises(PathNotFound, match=SHA256):
            await spool.find("bob/../ada", SHA256)
    [folder] = (tmp_path / "spool").iterdir()
    assert [each.stat().st_mode & 0o777 for each in (tmp_path / "spool", folder)] == [0o700] * 2


async def test_sending_the_same_again_changes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        first = await spool.add("ada", SHA256, pieces())
        again = await spool.add("ada", SHA256, pieces(size=700))
        assert again == first
    assert files(tmp_path) == [SHA256]


async def broken() -> AsyncIterator[bytes]:
    yield CONTENT[:1000]
    raise EOFError("the sender went away")


@pytest.mark.parametrize(
    ("sent", "bounds", "error"),
    [
        (lambda: pieces(CONTENT[:-1]), {}, InvalidRequest),
        (broken, {}, EOFError),
        (pieces, {"max_file_bytes": 2999}, TooLarge),
        (lambda: pieces(CONTENT * 2), {"max_file_bytes": 3000}, TooLarge),
        (pieces, {"max_owner_bytes": 2999}, TooLarge),
    ],
)
async def test_nothing_half_made_is_left(
    tmp_path: Path,
    sent: Callable[[], AsyncIterator[bytes]],
    bounds: dict[str, float],
    error: type[Exception],
) -> None:
    async with opened(tmp_path, **bounds) as spool:
        for length in (len(CONTENT), None):
            with pytest.raises(error):
                await spool.add("ada", SHA256, sent(), length)
            assert files(tmp_path) == []


async def test_owner_who_has_much_is_told_of_the_data_root(tmp_path: Path) -> None:
    async with opened(tmp_path, max_owner_bytes=5000) as spool:
        await spool.add("ada", SHA256, pieces(), 3000)
        other = hashlib.sha256(b"x" * 3000).hexdigest()
        with pytest.raises(TooLarge, match="data root"):
            await spool.add("ada", other, pieces(b"x" * 3000), 3000)
        # What is there already takes no room, and others have their own.
        await spool.add("ada", SHA256, pieces(), 3000)
        await spool.add("bob", other, pieces(b"x" * 3000), 3000)


@pytest.mark.parametrize(
    "digest",
    ["", "..", "x" * 64, SHA256.upper(), SHA256[:-1], SHA256 + "0"],
    ids=["none", "parent", "other letters", "capitals", "one less", "one more"],
)
async def test_only_digests_are_names(tmp_path: Path, digest: str) -> None:
    async with opened(tmp_path) as spool:
        with pytest.raises(InvalidRequest, match="sha256"):
            await spool.add("ada", digest, pieces())
        with pytest.raises(InvalidRequest, match="sha256"):
            await spool.find("ada", digest)


async def test_job_without_its_file_names_what_is_missing(tmp_path: Path) -> None:
    there, gone = SentFile(sha256=SHA256, to="/nds/in/x"), SentFile(sha256="0" * 64, to="/data/y")
    async with opened(tmp_path) as spool:
        await spool.add("ada", SHA256, pieces())
        [found] = await spool.with_sizes("ada", [there])
        assert found.size == len(CONTENT)
        with pytest.raises(Conflict, match="/data/y") as error:
            await spool.with_sizes("ada", [there, gone])
        assert error.value.details["missing"] == ["0" * 64]
        assert await spool.first_missing("ada", [found]) is None
        assert await spool.first_missing("ada", [found, gone]) == gone


def begin_to_write(folder: Path) -> None:
    [of_owner] = folder.iterdir()
    (of_owner / ".nds-0123456789abcdef.part").write_bytes(b"half")


def age(folder: Path, name: str, seconds: float) -> None:
    [file] = folder.glob(f"*/{name}")
    os.utime(file, (time.time() - seconds, time.time() - seconds))


async def test_what_no_job_needs_goes_after_its_time(tmp_path: Path) -> None:
    async with opened(tmp_path, retention=0) as spool:
        await spool.add("ada", SHA256, pieces())
        await spool.remove_expired(set())
        assert files(tmp_path) == [SHA256]
        age(tmp_path, SHA256, MIN_RETENTION + 60)
        await spool.remove_expired({("ada", SHA256)})
        assert files(tmp_path) == [SHA256]
        await spool.remove_expired({("bob", SHA256)})
        assert files(tmp_path) == []


async def test_use_keeps_a_file_and_does_not_change_it(tmp_path: Path) -> None:
    async with opened(tmp_path, retention=0) as spool:
        before = await spool.add("ada", SHA256, pieces())
        age(tmp_path, SHA256, MIN_RETENTION + 60)
        aged = await spool.find("ada", SHA256)
        await spool.remove_expired(set())
        assert await spool.find("ada", SHA256) == aged
        assert aged.size == before.size


async def test_what_a_killed_server_had_begun_to_write_goes(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        await spool.add("ada", SHA256, pieces())
        begin_to_write(tmp_path)
        await spool.remove_partial_files()
    assert files(tmp_path) == [SHA256]
