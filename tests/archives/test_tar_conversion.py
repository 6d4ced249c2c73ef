"""Result archives: conversion on the server, unpacking in the kernel."""

from __future__ import annotations

import asyncio
import io
import tarfile
import zipfile
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nds_jupyter.archives.tar_conversion import (
    RangeNotSatisfiable,
    ResultFormat,
    concatenate_tars,
    content_disposition,
    convert,
    list_entries,
    open_single_file,
    parse_range,
)
from nds_jupyter.client.archive_extraction import extract_archive
from nds_jupyter.errors import Conflict, EngineError, InvalidRequest, NdsError, TooLarge

NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=120
).filter(lambda name: name not in {".", ".."})
FILES = st.dictionaries(NAMES, st.binary(max_size=2000), max_size=5)


def a_tar(files: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        root = tarfile.TarInfo("results")
        root.type, root.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(root)
        for name, content in files.items():
            info = tarfile.TarInfo(f"results/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in extra:
            archive.addfile(info)
    return buffer.getvalue()


async def chunks(data: bytes, size: int) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def converted(data: bytes, wanted: ResultFormat, size: int = 700) -> bytes:
    async def run() -> bytes:
        return b"".join([part async for part in convert(chunks(data, size), wanted)])

    return asyncio.run(run())


@settings(max_examples=30, deadline=None)
@given(FILES, st.integers(1, 3000))
def test_every_format_holds_the_same_files(files: dict[str, bytes], size: int) -> None:
    data = a_tar(files)
    assert converted(data, ResultFormat.TAR, size) == data
    with tarfile.open(fileobj=io.BytesIO(converted(data, ResultFormat.TAR_GZ, size))) as packed:
        assert len(packed.getmembers()) == len(files) + 1
    with zipfile.ZipFile(io.BytesIO(converted(data, ResultFormat.ZIP, size))) as archive:
        assert archive.testzip() is None
        found = [archive.read(each) for each in archive.infolist() if not each.is_dir()]
    assert found == list(files.values())


def test_zip_names_stay_inside() -> None:
    evil = [tarfile.TarInfo(name) for name in ("../../x", "/etc/passwd", "results/../../y")]
    with zipfile.ZipFile(io.BytesIO(converted(a_tar({}, *evil), ResultFormat.ZIP))) as archive:
        assert not [name for name in archive.namelist() if name[0] == "/" or ".." in name]


def test_truncated_archive_is_an_error() -> None:
    with pytest.raises(EngineError):
        converted(a_tar({"a": b"x" * 5000})[:3000], ResultFormat.ZIP)


def test_raw_file_and_its_ranges() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("n" * 150)
        info.size = 5000
        archive.addfile(info, io.BytesIO(bytes(range(250)) * 20))

    async def read(start: int, stop: int) -> bytes:
        file = await open_single_file(chunks(buffer.getvalue(), 333))
        assert file.size == 5000
        return b"".join([part async for part in file.read(start, stop)])

    content = bytes(range(250)) * 20
    for start, stop in ((0, 5000), (10, 11), (4000, 5000), (7, 7)):
        assert asyncio.run(read(start, stop)) == content[start:stop]


def test_raw_folder_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        asyncio.run(open_single_file(chunks(a_tar({}), 512)))


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, None),
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=-5", (95, 100)),
        ("bytes=0-999", (0, 100)),
        ("bytes=0-1,3-4", None),
        ("lines=1-2", None),
    ],
)
def test_ranges(header: str | None, span: tuple[int, int] | None) -> None:
    assert parse_range(header, 100) == span


def test_range_past_the_end() -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range("bytes=100-", 100)


@given(st.text())
def test_content_disposition_is_one_plain_line(name: str) -> None:
    try:
        header = content_disposition(name)
    except UnicodeEncodeError:
        return
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2


@settings(max_examples=50, deadline=None)
@given(FILES, FILES, st.integers(1, 1500))
def test_bundle_holds_the_members_of_all(
    one: dict[str, bytes], other: dict[str, bytes], size: int
) -> None:
    hard = tarfile.TarInfo("results/hard")
    hard.type, hard.linkname = tarfile.LNKTYPE, "results/" + "x" * 150
    heads = {"": a_tar(one), "very/" * 30: a_tar(other, hard)}

    async def run() -> bytes:
        tars = [(head, chunks(data, size)) for head, data in heads.items()]
        return b"".join([part async for part in concatenate_tars(tars)])

    with tarfile.open(fileobj=io.BytesIO(asyncio.run(run()))) as archive:
        found = {m.name: archive.extractfile(m).read() for m in archive if m.isreg()}  # type: ignore[union-attr]
        links = [(m.name, m.linkname) for m in archive if m.islnk()]
    wanted = {f"results/{name}": content for name, content in one.items()}
    head = "very/" * 30
    wanted |= {f"{head}results/{name}": content for name, content in other.items()}
    assert found == wanted
    assert links == [(f"{head}results/hard", f"{head}results/{'x' * 150}")]


def test_entries_are_listed() -> None:
    found = asyncio.run(list_entries(chunks(a_tar({"a": b"12"}), 100), 10))
    assert [(entry.name, entry.size, entry.kind) for entry in found] == [
        ("results", 0, "dir"),
        ("results/a", 2, "file"),
    ]


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@settings(max_examples=20, deadline=None)
@given(files=FILES)
def test_unpacking_gives_back_the_files(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("out")
    fitting = {name: body for name, body in files.items() if len(name.encode()) <= 255}
    done = extract_archive(iter([a_tar(fitting)]), folder)
    assert {path.name: path.read_bytes() for path in done.files} == fitting
    assert not done.skipped


def test_hostile_members_write_nothing_outside(tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    evil = [
        tarfile.TarInfo("/absolute"),
        tarfile.TarInfo("results/../../up"),
        link("results/soft", str(outside)),
        tarfile.TarInfo("results/soft/through"),
        link("results/hard", "/etc/passwd", tarfile.LNKTYPE),
        link("results/null", "", tarfile.CHRTYPE),
    ]
    done = extract_archive(iter([a_tar({"good": b"1"}, *evil)]), out)
    assert sorted(path.name for path in done.files) == ["good", "through"]
    assert len(done.skipped) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "outside"]
    assert not list(outside.iterdir())


def test_link_in_the_destination_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    out = tmp_path / "out"
    out.mkdir()
    (out / "sub").symlink_to(outside)
    done = extract_archive(iter([a_tar({"sub/x": b"1"})]), out, overwrite=True)
    assert done.files == ()
    assert not list(outside.iterdir())


def test_existing_file_is_kept_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(Conflict):
        extract_archive(iter([a_tar({"a": b"theirs"})]), tmp_path)
    assert (tmp_path / "a").read_bytes() == b"mine"
    extract_archive(iter([a_tar({"a": b"theirs"})]), tmp_path, overwrite=True)
    assert (tmp_path / "a").read_bytes() == b"theirs"


def test_too_many_entries_and_truncation_are_told(tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        extract_archive(iter([a_tar({str(n): b"" for n in range(20)})]), tmp_path, max_entries=10)
    with pytest.raises(NdsError, match="ended early"):
        extract_archive(iter([a_tar({"z": b"x" * 5000})[:3000]]), tmp_path / "b")
    assert not list((tmp_path / "b").iterdir())
