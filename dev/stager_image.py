"""The image of a stager for tests: Python, this checkout's package, and what its data part needs.

It is what `examples/stager/Dockerfile` makes, from the packages of the environment that runs this
instead of a registry's.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from dev.console import SetupError, say
from dev.engine_api import Endpoint, ask
from dev.images import PYTHON_IMAGE, SLOW, ensure_image, has_image

STAGER_IMAGE = "nds/stager:test"
NEEDED = ("python-irodsclient", "fsspec", "msgspec")
SITE = "usr/lib/python3/dist-packages"
PACKAGE = Path(__file__).resolve().parent.parent / "nds_jupyter"


def ensure_stager_image(endpoint: Endpoint) -> None:
    """Make the image anew: the package may have changed.

    Raises
    ------
    SetupError
        The engine did not take it.
    """
    ensure_image(endpoint, PYTHON_IMAGE)
    say(f"Building {STAGER_IMAGE} …")
    said = ask(endpoint, "POST", "/build", query={"t": STAGER_IMAGE}, body=_context(), timeout=SLOW)
    if not has_image(endpoint, STAGER_IMAGE):
        raise SetupError(f"The engine at {endpoint.url} did not build {STAGER_IMAGE}: {said!r}")


def _context() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as context:
        recipe = f"FROM {PYTHON_IMAGE}\nCOPY packages /{SITE}\n".encode()
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(recipe)
        context.addfile(entry, io.BytesIO(recipe))
        for path in sorted(PACKAGE.rglob("*.py")):
            name = path.relative_to(PACKAGE.parent)
            context.add(path, f"packages/{name}", recursive=False)
        for name, path in _files():
            context.add(path, f"packages/{name}", recursive=False)
    return buffer.getvalue()


def _files() -> Iterator[tuple[str, Path]]:
    for distribution in _with_dependencies(NEEDED).values():
        for file in distribution.files or ():
            path = Path(str(distribution.locate_file(file)))
            inside = not str(file).startswith("..")
            if inside and path.is_file() and path.suffix != ".pyc":
                yield str(file), path


def _with_dependencies(names: tuple[str, ...]) -> dict[str, metadata.Distribution]:
    found: dict[str, metadata.Distribution] = {}
    left = list(names)
    while left:
        name = left.pop()
        if name in found:
            continue
        found[name] = metadata.distribution(name)
        for text in found[name].requires or ():
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                left.append(wanted.name.lower())
    return found
