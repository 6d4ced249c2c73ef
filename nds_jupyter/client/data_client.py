"""Synchronous client of the data root: `Client.data`."""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
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
from nds_jupyter.data.entries import Avu, Kind, Replica, Ticket
from nds_jupyter.errors import Conflict, NdsError, PathNotFound
from nds_jupyter.jobs.logical_paths import is_url, join, name_of
from nds_jupyter.rest import routes
from nds_jupyter.rest.views import DataLoginView, DataRow

# `DataClient.list` hides the type's name from the annotations beside it.
Rows = list[DataRow]
Avus = list[Avu]
Replicas = list[Replica]
Paths = list[Path]
Words = list[str]
Tickets = list[Ticket]

AskUser = Callable[[str, bool], str]
INTERACTIVE = "pam_interactive"
LOGIN_TIMEOUT = 90.0
"""Seconds for a login: the zone may ask another server."""


def ask_user(prompt: str, secret: bool) -> str:
    """Ask at the notebook or the terminal; a secret is not shown."""
    return getpass.getpass(prompt) if secret else input(prompt)


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

    def login_status(self) -> DataLoginView:
        """Return whose account opens the data root, and whether a login is needed."""
        return self._transport.call("GET", routes.DATA_LOGIN, DataLoginView)

    def login(
        self,
        password: str | None = None,
        *,
        user: str | None = None,
        scheme: str | None = None,
        ask: AskUser = ask_user,
    ) -> DataLoginView:
        """Log in to the data root, where each of its users has an account of their own.

        Parameters
        ----------
        password
            Or a token that the zone takes as one; asked for if it is left out.
        user
            The iRODS user, if it has not the name that this server knows.
        scheme
            ``native``, ``pam_password`` or ``pam_interactive``; by default what the server's
            iRODS environment says.
        ask
            Called with a prompt, and whether the answer is secret; returns the answer.

        Raises
        ------
        DataLoginRequired
            If the zone does not accept the user and the password.
        """
        request = {"user": user, "scheme": scheme}
        if scheme != INTERACTIVE:
            if password is None:
                name = user or self.login_status().user
                password = ask(f"iRODS password of {name}: " if name else "iRODS password: ", True)
            request["password"] = password
        view = self._log_in(request)
        while view.prompt is not None:
            answer = ask(view.prompt, view.secret)
            view = self._log_in({"conversation": view.conversation, "answer": answer})
        return view

    def _log_in(self, request: dict[str, str | None]) -> DataLoginView:
        body = {name: value for name, value in request.items() if value is not None}
        return self._transport.call(
            "PUT", routes.DATA_LOGIN, DataLoginView, json=body, timeout=LOGIN_TIMEOUT
        )

    def logout(self) -> None:
        """Log out of the data root: the server forgets the login."""
        self._transport.delete(routes.DATA_LOGIN)

    def share(
        self,
        path: str,
        *,
        write: bool = False,
        expires: datetime | str | None = None,
        uses: int | None = None,
    ) -> Ticket:
        """Make a ticket, by which others read, or write, an object or a whole collection.

        Parameters
        ----------
        expires
            When it ends; ``"never"``; None for a week from now.
        uses
            How often it may be used; None for no limit.
        """
        body: dict[str, Any] = {"path": self._absolute(path), "write": write, "uses": uses}
        if expires is not None:
            body["expires"] = expires.isoformat() if isinstance(expires, datetime) else None
        return self._transport.call("POST", routes.TICKETS, Ticket, json=body)

    def tickets(self, path: str | None = None) -> Tickets:
        """Return one's tickets for a path and what is in it, or all."""
        params = {} if path is None else {"path": self._absolute(path)}
        return self._transport.call("GET", routes.TICKETS, Tickets, params=params)

    def revoke(self, ticket: Ticket | str) -> None:
        """End a ticket: nobody uses it any more."""
        name = ticket if isinstance(ticket, str) else ticket.ticket
        self._transport.delete(routes.TICKET.format(ticket=quote(name, safe="")))

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
