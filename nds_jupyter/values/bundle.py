"""A cell and its small values as one Python archive; larger ones travel as files beside it."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources

import msgspec

from nds_jupyter.cell_archives import MEMBER
from nds_jupyter.client.local_files import LocalFile
from nds_jupyter.values.packing import Terms, Wish, pack

INLINE = 128 * 2**10
"""Bytes of values that travel in the archive, so that most jobs are one request and one file."""

_SHIPPED = ("plain.py", "tables.py", "codec.py", "launcher.py")

_START = """\
import sys

if sys.version_info < (3, 8):
    sys.exit("--in, --out: this image has Python %d.%d, and 3.8 is needed." % sys.version_info[:2])

from _nds_values import launcher

launcher.run(sys.argv[0])
"""
"""The archive's ``__main__``, which any Python can read."""


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """What a request is made of.

    Parameters
    ----------
    script
        The archive, or a script of another language as it is.
    files
        What is sent beside it, by place in the container.
    sizes
        Bytes of each value.
    """

    script: bytes | str
    files: dict[str, LocalFile]
    sizes: dict[str, int]


def pack_all(values: Mapping[Wish, object], terms: Terms) -> list[LocalFile]:
    """Write values to files; all of them, or an error and none."""
    with contextlib.ExitStack() as stack:
        packed: list[LocalFile] = []
        for wish, value in values.items():
            packed.append(pack(wish, value, terms))
            stack.callback(packed[-1].close)
        stack.pop_all()
    return packed


def bundle_of_script(script: str, values: Mapping[Wish, object], terms: Terms) -> Bundle:
    """Return what a script of another language needs: every value a file beside it."""
    packed = pack_all(values, terms)
    return Bundle(
        script=script,
        files={file.to: file for file in packed},
        sizes=_sizes(values, packed),
    )


def bundle_of_cell(
    cell: str,
    values: Mapping[Wish, object],
    wanted: Sequence[Wish],
    terms: Terms,
    *,
    path: str,
    shebang: str = "",
    inline: int = INLINE,
) -> Bundle:
    """Return what a Python cell needs to find values in its namespace, and to leave others.

    Parameters
    ----------
    values
        What the cell finds in its namespace.
    wanted
        The variables that it leaves behind.
    path
        The file that the cell believes to be.
    shebang
        The cell's own first line, if it begins with ``#!``.
    inline
        Bytes of values that travel in the archive.
    """
    packed = pack_all(values, terms)
    entries: dict[str, str] = {}
    files: dict[str, LocalFile] = {}
    buffer = io.BytesIO()
    if shebang:
        buffer.write(f"{shebang}\n".encode())
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for wish, file in zip(values, packed, strict=True):
            if file.size <= inline:
                inline -= file.size
                entries[wish.name] = f"values/{file.name}"
                archive.writestr(entries[wish.name], file.content())
                file.close()
            else:
                entries[wish.name] = file.to
                files[file.to] = file
        plan = {
            "in": entries,
            "out": {wish.name: wish.suffix for wish in wanted},
            "pickle": terms.allow_pickle,
            "file": path,
            "results": "/results",
        }
        archive.writestr("plan.json", json.dumps(plan))
        archive.writestr(MEMBER, cell.encode("utf-8"))
        _add_launcher(archive)
    return Bundle(script=buffer.getvalue(), files=files, sizes=_sizes(values, packed))


def _sizes(values: Iterable[Wish], packed: Iterable[LocalFile]) -> dict[str, int]:
    return {wish.name: file.size for wish, file in zip(values, packed, strict=True)}


def _add_launcher(archive: zipfile.ZipFile) -> None:
    archive.writestr("__main__.py", _START)
    archive.writestr("_nds_values/__init__.py", "")
    shipped = resources.files("nds_jupyter.values")
    for name in _SHIPPED:
        archive.writestr(f"_nds_values/{name}", (shipped / name).read_bytes())
