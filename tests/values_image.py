"""An image whose Python has numpy, pandas and pyarrow: those of the environment of the tests."""

from __future__ import annotations

import hashlib
import io
import sysconfig
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from dev.engine_api import Endpoint
from dev.images import PYTHON_IMAGE, ensure_image

DISTRIBUTIONS = ("numpy", "pandas", "pyarrow")
PARTS = ("numpy", "numpy.libs", "pandas", "pandas.libs", "pyarrow", "dateutil", "six.py", "pytz")
DOCKERFILE = f"""\
FROM {PYTHON_IMAGE}
COPY packages /usr/lib/python3/dist-packages
COPY lib /usr/local/lib
ENV LD_LIBRARY_PATH=/usr/local/lib
"""


def ensure_values_image(endpoint: Endpoint) -> str:
    """Build the image unless the engine has it, and return its name."""
    ensure_image(endpoint, PYTHON_IMAGE)
    versions = " ".join(f"{name}={version(name)}" for name in DISTRIBUTIONS)
    name = f"nds/values:{hashlib.sha256((versions + DOCKERFILE).encode()).hexdigest()[:12]}"
    client = docker.APIClient(base_url=endpoint.url, timeout=300)
    try:
        try:
            client.inspect_image(name)
        except ImageNotFound:
            with tempfile.TemporaryFile() as context:
                _write_context(context)
                context.seek(0)
                said = list(client.build(fileobj=context, custom_context=True, tag=name, rm=True))
            assert b"Successfully tagged" in b"".join(said), said[-3:]
    finally:
        client.close()
    return name


def _write_context(file: object) -> None:
    packages = Path(sysconfig.get_path("purelib"))
    [library] = sorted(Path("/usr/lib").glob("*-linux-gnu/libstdc++.so.6"))[:1]
    with tarfile.open(fileobj=file, mode="w", dereference=True) as tar:  # type: ignore[call-overload]
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(DOCKERFILE)
        tar.addfile(entry, io.BytesIO(DOCKERFILE.encode()))
        tar.add(library, "lib/libstdc++.so.6")
        for part in PARTS:
            if (packages / part).exists():
                tar.add(packages / part, f"packages/{part}", filter=_needed)


def _needed(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = Path(entry.name).parts
    unneeded = {"tests", "include", "__pycache__", "src"} & set(parts[2:])
    return None if unneeded else entry
