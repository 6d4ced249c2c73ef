"""Synchronous client of the data root: `Client.data`."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from nds_jupyter.client.transport import (
    CHUNK_SIZE,
    UPLOAD_TIMEOUT,
    ProgressCallback,
    Transport,
    ignore_progress,
)
from nds_jupyter.data.entries import Avu, Kind, Replica
from nds_jupyter.errors import Conflict, NdsError, PathNotFound
from nds_jupyter.jobs.logical_paths import is_url, join, name_of
from nds_jupyter.rest import routes
from nds_jupyter.rest.views import DataRow

# `DataClient.list` hides the type's name from the annotations beside it.
Rows = list[DataRow]
Avus = list[Avu]
Replicas = list[Replica]
Paths = list[Path]
Words = list[str]


class DataClient:
    """Client of the data root, which holds the inputs and outputs of jobs.

    Paths are absolute in the data root, relative to the user's home in it, or URLs of it.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def home(self) -> str:
        """Return the collection in which relative paths begin."""
        listed = self._transport.content_location(routes.LIST_DATA, {"limit": 1})
        return parse_qs(urlsplit(listed).query).get("path", ["/"])[0]

    def list(self, path: str | None = None, *, q: str | None = None) -> Iterator[DataRow]:
        """Yield the entries of a collection; the user's home where none is named.

        Parameters
        ----------
        q
            What names must contain.
        """
        query = {"path": path, "q": q, "limit": 1000}
        params = {name: value for name, value in query.items() if value is not None}
        for page in self._transport.pages(routes.LIST_DATA, Rows, params):
            yield from page

    def _absolute(self, path: str) -> str:
        if path.startswith("/") or is_url(path):
            return path
        return join(self.home(), "" if path in {".", "./"} else path.removeprefix("./"))

    def _route(self, template: str, path: str) -> str:
        absolute = self._absolute(path)
        return template.format(
            path=quote(absolute, safe="")
            if is_url(absolute)
            else quote(absolute.lstrip("/"), safe="/")
        )

    def some(self, path: str | None, limit: int, *, q: str = "") -> Rows:
        """Return the first entries of a collection; the user's home where none is named.

        Parameters
        ----------
        q
            What names must contain.
        """
        query: dict[str, Any] = {"limit": limit}
        query |= {name: value for name, value in {"path": path, "q": q}.items() if value}
        return self._transport.call("GET", routes.LIST_DATA, Rows, params=query)

    def get(
        self,
        path: str,
        to: str | os.PathLike[str] = ".",
        *,
        overwrite: bool = False,
        progress: ProgressCallback = ignore_progress,
    ) -> Paths:
        """Download an object, or a collection with all it holds, into a folder.

        Raises
        ------
        Conflict
            If a file exists and `overwrite` is not given.
        """
        folder = Path(to)
        folder.mkdir(parents=True, exist_ok=True)
        name = name_of(path.rstrip("/")) or "data"
        try:
            rows = [*self.list(path)]
        except Conflict:
            return [self._get_object(path, folder / name, overwrite, progress)]
        return [*self._get_collection(rows, folder / name, overwrite, progress)]

    def _get_collection(
        self, rows: Iterable[DataRow], folder: Path, overwrite: bool, progress: ProgressCallback
    ) -> Iterator[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        for row in rows:
            target = folder / row.name
            if row.kind is Kind.COLLECTION:
                yield from self._get_collection(self.list(row.path), target, overwrite, progress)
            else:
                yield self._get_object(row.path, target, overwrite, progress)

    def _get_object(
        self, path: str, target: Path, overwrite: bool, progress: ProgressCallback
    ) -> Path:
        if not overwrite and target.exists():
            raise Conflict(f"{target} exists. Ask to overwrite, or choose another folder.")
        partial = target.with_name(f".nds-{secrets.token_hex(8)}.part")
        try:
            with self._transport.stream(self._route(routes.DATA, path), {}) as response:
                total, done = int(response.headers.get("Content-Length", 0)), 0
                with partial.open("xb") as file:
                    for data in response.iter_raw(CHUNK_SIZE):
                        file.write(data)
                        done += len(data)
                        progress(target.name, done, total)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return target

    def put(
        self,
        source: str | os.PathLike[str],
        path: str,
        *,
        overwrite: bool = False,
        progress: ProgressCallback = ignore_progress,
    ) -> Rows:
        """Upload a file to a path, or a folder with all it holds as a collection of that path.

        Parameters
        ----------
        path
            Where it is to be; with a slash at its end, the collection that it goes into.

        Raises
        ------
        Conflict, PreconditionFailed
            If an object is there and `overwrite` is not given.
        """
        local = Path(source)
        path = self._absolute(path)
        target = join(path, local.resolve().name) if path.endswith("/") else path
        if not local.exists():
            raise PathNotFound(f"There is no file {local} here.")
        if path.endswith("/"):
            self.mkdir(path)
        if not local.is_dir():
            return [self._put_object(local, target, overwrite, progress)]
        return [*self._put_folder(local, target, overwrite, progress)]

    def _put_folder(
        self, local: Path, path: str, overwrite: bool, progress: ProgressCallback
    ) -> Iterator[DataRow]:
        self.mkdir(path)
        for each in sorted(local.iterdir()):
            if each.is_dir() and not each.is_symlink():
                yield from self._put_folder(each, join(path, each.name), overwrite, progress)
            elif each.is_file():
                yield self._put_object(each, join(path, each.name), overwrite, progress)

    def _put_object(
        self, local: Path, path: str, overwrite: bool, progress: ProgressCallback
    ) -> DataRow:
        size = local.stat().st_size
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        if not overwrite:
            headers["If-None-Match"] = "*"

        def chunks() -> Iterator[bytes]:
            done = 0
            with local.open("rb") as file:
                while data := file.read(CHUNK_SIZE):
                    yield data
                    done += len(data)
                    progress(local.name, done, size)

        route = self._route(routes.DATA, path)
        request: dict[str, Any] = {
            "content": chunks(),
            "headers": headers,
            "timeout": UPLOAD_TIMEOUT,
        }
        with contextlib.closing(request["content"]):
            return self._transport.call("PUT", route, DataRow, **request)

    def mkdir(self, path: str) -> DataRow:
        """Create a collection, and those above it, unless it exists."""
        query = {"mkdir": "1"}
        return self._transport.call("POST", self._route(routes.DATA, path), DataRow, params=query)

    def move(self, path: str, to: str, *, overwrite: bool = False) -> DataRow:
        """Move an object or collection to another path."""
        query = {"move_to": to, "overwrite": int(overwrite)}
        return self._transport.call("POST", self._route(routes.DATA, path), DataRow, params=query)

    def rm(self, path: str, *, recursive: bool = False) -> None:
        """Remove an object; a collection that holds something only if `recursive`."""
        query = "?recursive=1" if recursive else ""
        self._transport.delete(f"{self._route(routes.DATA, path)}{query}")

    def metadata(self, path: str) -> Avus:
        """Return the metadata of an object or collection."""
        return self._transport.call("GET", self._route(routes.METADATA, path), Avus)

    def set_metadata(self, path: str, avus: Iterable[Avu]) -> Avus:
        """Replace the metadata of an object or collection, and return it."""
        body = [{"name": each.name, "value": each.value, "unit": each.unit} for each in avus]
        return self._transport.call("PUT", self._route(routes.METADATA, path), Avus, json=body)

    def replicas(self, path: str) -> Replicas:
        """Return the copies of an object."""
        return self._transport.call("GET", self._route(routes.REPLICAS, path), Replicas)

    def names(self, word: str, limit: int = 100) -> Words:
        """Return the paths that begin with a word, for completion, written as the word is."""
        collection, slash, begin = word.rpartition("/")
        head = word[: len(word) - len(begin)]
        try:
            rows = self.some(head if slash and not collection else collection, limit, q=begin)
        except NdsError:
            return []
        return [
            f"{head}{row.name}/" if row.kind is Kind.COLLECTION else f"{head}{row.name}"
            for row in rows
            if row.name.startswith(begin)
        ]
