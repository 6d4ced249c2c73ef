"""Unpacking an archive that nobody vouches for."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.client import archive_extraction
from nds_jupyter.client.archive_extraction import extract_archive, list_files
from nds_jupyter.errors import Conflict, NdsError, TooLarge

KINDS = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE)
PARTS = st.sampled_from(["results", "a", "b", "..", ".", "", "/", "é", "a\nb", "x" * 120])


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def archive(*members: tarfile.TarInfo, content: bytes = b"content") -> list[bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for each in members:
            each.size = len(content) if each.isreg() else 0
            tar.addfile(each, io.BytesIO(content))
    return [buffer.getvalue()]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_plain_files_and_folders_are_written(tmp_path: Path) -> None:
    stream = archive(
        member("results", tarfile.DIRTYPE),
        member("results/a.txt", mode=0o4777),
        member("results/empty", tarfile.DIRTYPE),
        member("results/deep/er/é.txt"),
    )
    done = extract_archive(stream, tmp_path / "new")
    assert [path.relative_to(tmp_path).as_posix() for path in done.files] == [
        "new/a.txt",
        "new/deep/er/é.txt",
    ]
    assert (tmp_path / "new/a.txt").read_bytes() == b"content"
    assert (tmp_path / "new/a.txt").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "new/empty").is_dir()
    assert done.skipped == ()
    assert list_files(stream) == [("a.txt", 7), ("deep/er/é.txt", 7)]


@pytest.mark.parametrize(
    "hostile",
    [
        member("/etc/passwd"),
        member("results/../../up"),
        member("results/link", tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("results/hard", tarfile.LNKTYPE, linkname="results/other"),
        member("results/null", tarfile.CHRTYPE, devmajor=1, devminor=3),
        member("results/pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: info.name,
)
def test_hostile_member_is_skipped_and_reported(tmp_path: Path, hostile: tarfile.TarInfo) -> None:
    done = extract_archive(archive(hostile, member("results/good")), tmp_path / "to")
    assert [path.name for path in done.files] == ["good"]
    assert [name for name, _why in done.skipped] == [hostile.name]
    assert names(tmp_path) == ["to"]
    assert names(tmp_path / "to") == ["good"]


def test_nothing_is_written_through_a_link_that_is_there(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "folder").symlink_to(outside)
    (tmp_path / "to" / "file").symlink_to(outside / "file")
    stream = archive(member("results/folder/x"), member("results/file"))
    done = extract_archive(stream, tmp_path / "to", overwrite=True)
    assert done.files == ()
    assert names(outside) == []


@given(
    st.lists(
        st.tuples(st.lists(PARTS, min_size=1, max_size=4).map("/".join), st.sampled_from(KINDS)),
        max_size=6,
    )
)
def test_no_archive_writes_outside_its_folder(entries: list[tuple[str, bytes]]) -> None:
    members = [
        member(name, kind, linkname="../../outside") for name, kind in entries if name.strip("/")
    ]
    with TemporaryDirectory() as name:
        into = Path(name) / "into"
        try:
            done = extract_archive(archive(*members), into, overwrite=True)
        except NdsError:
            done = None
        assert names(Path(name)) == ["into"]
        assert not any(path.is_symlink() for path in into.rglob("*"))
        assert done is None or all(
            path.resolve().is_relative_to(into.resolve()) for path in done.files
        )


def test_endless_archive_is_cut_off(tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        number = 0
        while True:
            number += 1
            yield member(f"results/{number}").tobuf()

    with pytest.raises(TooLarge, match="more than 50 entries"):
        extract_archive(endless(), tmp_path, max_entries=50)
    with pytest.raises(TooLarge, match="entries"):
        list_files(endless(), max_entries=50)


def test_file_larger_than_the_disk_is_refused_before_it_is_written(tmp_path: Path) -> None:
    bomb = member("results/bomb", size=2**60)
    with pytest.raises(TooLarge, match="no room for bomb"):
        extract_archive([bomb.tobuf(tarfile.GNU_FORMAT)], tmp_path)
    assert names(tmp_path) == []


def test_endless_header_is_refused(tmp_path: Path) -> None:
    header = member("././@PaxHeader", tarfile.XHDTYPE, size=archive_extraction.MAX_HEADER_SIZE + 1)
    with pytest.raises(TooLarge, match="header"):
        extract_archive([header.tobuf(), b"x" * 10_000], tmp_path)


def test_archive_that_ends_early_leaves_no_half_file(tmp_path: Path) -> None:
    [whole] = archive(member("results/a"), member("results/b"), content=b"z" * 5000)
    with pytest.raises(NdsError, match="not complete"):
        extract_archive([whole[:8000]], tmp_path)
    assert names(tmp_path) == ["a"]


def test_existing_file_is_kept_unless_overwriting_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    stream = archive(member("results/a"))
    with pytest.raises(Conflict, match="exists"):
        extract_archive(stream, tmp_path)
    assert (tmp_path / "a").read_text() == "mine"
    extract_archive(stream, tmp_path, overwrite=True)
    assert (tmp_path / "a").read_text() == "content"
