"""Commands for a container's shell come to the same as unpacking the archive."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from nds_jupyter.engines.swarm.script_start import MAX_STDIN_BYTES, shell_commands

NAMES = st.text("ab c'$`\"\\é*", min_size=1, max_size=12)


def archive_of(files: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder, mode in {"nds": 0o755, "nds/in": 0o755, "results": 0o1777}.items():
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(f"nds/{name}")
            entry.type, entry.size, entry.mode = kind, len(content), 0o755
            entry.linkname = "elsewhere" if kind == tarfile.SYMTYPE else ""
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mode,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
    }


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        NAMES.filter(lambda name: name.strip(".")),
        st.binary(max_size=200).filter(lambda data: b"\0" not in data),
        max_size=3,
    )
)
def test_shell_makes_of_an_archive_what_unpacking_it_makes(files: dict[str, bytes]) -> None:
    archive = archive_of({name: content for name, content in files.items() if name != "in"})
    with TemporaryDirectory() as by_shell, TemporaryDirectory() as by_tar:
        lines = shell_commands(by_shell, archive)
        assert lines is not None
        subprocess.run(["/bin/sh"], input=lines, check=True)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(by_tar, filter="fully_trusted")
        assert tree(Path(by_shell)) == tree(Path(by_tar))


def test_what_is_nothing_for_a_shell_is_left_to_the_engine() -> None:
    assert shell_commands("/", archive_of({"x": b"a\0b"})) is None
    assert shell_commands("/", archive_of({"x": b"a" * (MAX_STDIN_BYTES + 1)})) is None
    assert shell_commands("/", archive_of({"x": b"a" * 100_000})) is None
    assert shell_commands("/", archive_of({"x": b""}, tarfile.SYMTYPE)) is None
    assert shell_commands("/", archive_of({"x": b"a" * MAX_STDIN_BYTES})) is not None
