"""A package index of our own, which builds of images can reach, since they can reach no other."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import json
import secrets
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dev.engine_api import Endpoint, ask
from dev.images import PIP_IMAGE, ensure_image
from tests.sharing import removing_what_came, run_folder

PACKAGE = "nds-greeting"
MODULE = "nds_greeting"


@dataclass
class PackageIndex:
    """An index with one small package.

    Parameters
    ----------
    url
        Where containers reach it.
    greeting
        What the package says, another one for each index: images are cached by what is asked for.
    asked
        The paths that were asked for, in order.
    """

    url: str
    greeting: str
    asked: list[str] = field(default_factory=list)

    @property
    def wheel(self) -> str:
        """The URL of the package itself."""
        return f"{self.url}/{_wheel_name(self.greeting)}"

    def requirements(self, *packages: str) -> str:
        """Return a file of requirements that takes them from here."""
        host = self.url.split("/")[2].partition(":")[0]
        head = [f"--index-url {self.url}/simple", f"--trusted-host {host}"]
        return "\n".join([*head, *packages, ""])


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *args: Any, asked: list[str], **options: Any) -> None:
        self._asked = asked
        super().__init__(*args, **options)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        self._asked.append(self.path)


@pytest.fixture(scope="session")
def package_index(
    docker_engine: Endpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PackageIndex]:
    """Serve a package, and give the engine an image with pip; what was built is removed."""
    ensure_image(docker_engine, PIP_IMAGE)
    folder = tmp_path_factory.mktemp("index")
    greeting = f"hello{secrets.token_hex(4)}"
    asked: list[str] = []
    _write(folder, greeting)
    handler = functools.partial(_Handler, directory=str(folder), asked=asked)
    with ThreadingHTTPServer(("0.0.0.0", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="package-index")
        thread.start()
        url = f"http://{_gateway(docker_engine)}:{server.server_port}"
        images = run_folder(tmp_path_factory) / "images"
        try:
            with removing_what_came(
                images, lambda: _built(docker_engine), lambda image: _remove(docker_engine, image)
            ):
                yield PackageIndex(url, greeting, asked)
        finally:
            server.shutdown()
            thread.join()


def _gateway(endpoint: Endpoint) -> str:
    """Return the address of this machine on the network that builds run in."""
    network = json.loads(ask(endpoint, "GET", "/networks/bridge"))
    return str(network["IPAM"]["Config"][0]["Gateway"])


def _built(endpoint: Endpoint) -> set[str]:
    filters = json.dumps({"label": ["nds.build"]})
    listed = json.loads(ask(endpoint, "GET", "/images/json", query={"filters": filters}))
    return {name for image in listed for name in image["RepoTags"] or () if "<none>" not in name}


def _remove(endpoint: Endpoint, image: str) -> None:
    ask(endpoint, "DELETE", f"/images/{image}", query={"force": "1"})


def _wheel_name(greeting: str) -> str:
    return f"{MODULE}-1.0+{greeting}-py3-none-any.whl"


def _write(folder: Path, greeting: str) -> None:
    wheel = _wheel_name(greeting)
    (folder / wheel).write_bytes(_wheel(greeting))
    listing = folder / "simple" / PACKAGE
    listing.mkdir(parents=True)
    (listing / "index.html").write_text(f"<!DOCTYPE html><a href='../../{wheel}'>{wheel}</a>")


def _wheel(greeting: str) -> bytes:
    """Return a wheel whose module says a greeting (PEP 427)."""
    info = f"{MODULE}-1.0+{greeting}.dist-info"
    files = {
        f"{MODULE}.py": f"GREETING = {greeting!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0+{greeting}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},{_digest(text)},{len(text)}\n" for name, text in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256={base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
