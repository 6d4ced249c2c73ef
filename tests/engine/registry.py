"""An image registry of one image, in a thread: as much of the registry API as a pull needs.

`hold` cleared, the layer stops half way: a pull can be made to last as long as a test likes.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _blobs(tar: bytes) -> tuple[dict[str, bytes], bytes]:
    """Return the blobs of an image of one layer, by digest, and its manifest."""
    layer = gzip.compress(tar, 1)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/bin:/usr/bin:/opt/julia/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(tar)]},
        }
    ).encode()
    parts = [(CONFIG, config), (LAYER, layer)]
    described = [
        {"mediaType": kind, "size": len(blob), "digest": _digest(blob)} for kind, blob in parts
    ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described[0],
        "layers": described[1:],
    }
    return {_digest(blob): blob for _, blob in parts}, json.dumps(manifest).encode()


class Registry:
    """Serves the image ``HOST/slow:latest``.

    Parameters
    ----------
    tar
        The image's filesystem.
    host
        Where it listens.
    login
        ``user:password``, without which it tells nothing; empty for everybody.

    Attributes
    ----------
    hold
        While it is clear, the layer's second half is not sent.
    asked
        Set once somebody fetches the layer.
    """

    def __init__(self, tar: bytes, host: str = "127.0.0.1", login: str = "") -> None:
        self.host = host
        self.authorization = f"Basic {base64.b64encode(login.encode()).decode()}" if login else ""
        self.blobs, self.manifest = _blobs(tar)
        self.layer = max(self.blobs, key=lambda digest: len(self.blobs[digest]))
        self.hold = threading.Event()
        self.hold.set()
        self.asked = threading.Event()
        handler = type("Handler", (_Handler,), {"registry": self})
        self._server = ThreadingHTTPServer((host, 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="registry")

    @property
    def image(self) -> str:
        """The image's reference."""
        return f"{self.address}/slow:latest"

    @property
    def address(self) -> str:
        """Its name in references, and in what `docker login` writes."""
        return f"{self.host}:{self._server.server_address[1]}"

    @contextlib.contextmanager
    def serving(self) -> Iterator[Registry]:
        """Serve while the block runs."""
        self._thread.start()
        try:
            yield self
        finally:
            self.hold.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    registry: ClassVar[Registry]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        wanted = self.registry.authorization
        refused = bool(wanted) and self.headers["Authorization"] != wanted
        found = None if refused else self._find()
        if refused:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="registry"')
            content = b'{"errors":[{"code":"UNAUTHORIZED","message":"no basic auth credentials"}]}'
            kind = "application/json"
        elif found is None:
            self.send_response(404)
            content = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'
            kind = "application/json"
        else:
            self.send_response(200)
            kind, content = found
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Docker-Content-Digest", _digest(content))
        self.end_headers()
        if body:
            self._send(content)

    def _send(self, content: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            if self.path.endswith(self.registry.layer):
                half = len(content) // 2
                self.wfile.write(content[:half])
                self.wfile.flush()
                self.registry.asked.set()
                self.registry.hold.wait()
                content = content[half:]
            self.wfile.write(content)

    def _find(self) -> tuple[str, bytes] | None:
        if self.path == "/v2/":
            return "application/json", b"{}"
        if self.path in {
            "/v2/slow/manifests/latest",
            f"/v2/slow/manifests/{_digest(self.registry.manifest)}",
        }:
            return MANIFEST, self.registry.manifest
        blob = self.registry.blobs.get(self.path.rpartition("/")[2])
        return None if blob is None else ("application/octet-stream", blob)


def empty_image() -> bytes:
    """Return a filesystem with a mebibyte that does not compress, so that pulls show progress."""
    import os

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        content = os.urandom(2**20)
        entry = tarfile.TarInfo("noise")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
