"""HTTP transport of the client: address, token, retry policy, errors as exceptions."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin

import msgspec

from nds_jupyter.client.discovery import ServerAddress
from nds_jupyter.errors import NdsError, ServerNotFound, Unauthorized, UnexpectedAnswer, error_class

if TYPE_CHECKING:
    import httpx


MAX_OUTAGE = 60.0
"""Seconds that a server may be away, as long as it takes to be started again."""

INITIAL_DELAY, MAX_DELAY = 0.2, 5.0
"""Seconds between two attempts to connect again."""


class RetryPolicy:
    """How long a server that does not answer is asked again."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._pause = INITIAL_DELAY

    def answered(self) -> None:
        """Begin anew: the server is there."""
        self._since, self._pause = None, INITIAL_DELAY

    def wait(self, error: NdsError) -> None:
        """Wait before the next attempt, or raise the error when it has lasted too long."""
        self._since = self._since or time.monotonic()
        if time.monotonic() - self._since > MAX_OUTAGE:
            raise error
        time.sleep(self._pause)
        self._pause = min(self._pause * 2, MAX_DELAY)


T = TypeVar("T")

KEEP_ALIVE_OPTIONS = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
if hasattr(socket, "TCP_KEEPIDLE"):
    KEEP_ALIVE_OPTIONS.append((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30))

GATEWAY_ERRORS = frozenset({502, 503, 504})
"""What a proxy answers while the server behind it is away."""


class Transport:
    """Talks to one server.

    Parameters
    ----------
    timeout
        Seconds for a connection, and for an answer to begin.
    """

    def __init__(self, address: ServerAddress, timeout: float) -> None:
        # Not before it is needed: loading the magics should not take longer than a blink.
        import httpx

        self.address = address
        headers = {"Authorization": f"token {address.token}"} if address.token else {}
        # No proxy of the environment stands between a kernel and its own server. A stream may be
        # silent for hours: only the network can tell that nobody is at its other end.
        transport = httpx.HTTPTransport(socket_options=KEEP_ALIVE_OPTIONS)
        self._http = httpx.Client(
            headers=headers, timeout=timeout, trust_env=False, transport=transport
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(self, verb: str, path: str, wanted: type[T], **request: Any) -> T:
        """Return a JSON answer as a type."""
        return self._decoded(self._send(verb, self.address.route(path), **request), wanted)

    def health(self, path: str, wanted: type[T]) -> tuple[T, str | None]:
        """Return what a route says even if its status is 503, and the ``Date`` of the answer."""
        with self._told():
            answer = self._http.request("GET", self.address.route(path))
        if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
            self._check(answer)
        return self._decoded(answer, wanted), answer.headers.get("Date")

    def has(self, path: str) -> bool:
        """Tell whether there is something to be had at a route."""
        with self._told():
            answer = self._http.head(self.address.route(path))
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return False
        self._check(answer)
        return True

    def discard(self, path: str) -> None:
        """Delete something; nothing comes back."""
        self._send("DELETE", self.address.route(path), timeout=60.0)

    def pages(self, path: str, wanted: type[T], query: Mapping[str, Any]) -> Iterator[T]:
        """Yield every page of a list, following its links."""
        url: str | None = self.address.route(path)
        asked: Mapping[str, Any] | None = query
        while url is not None:
            answer = self._send("GET", url, params=asked)
            yield self._decoded(answer, wanted)
            following = answer.links.get("next", {}).get("url")
            url = urljoin(str(answer.url), following) if following else None
            asked = None

    def location(self, path: str, query: Mapping[str, Any]) -> str:
        """Return the ``Content-Location`` of an answer: the URL of what was given."""
        answer = self._send("GET", self.address.route(path), params=query)
        return str(answer.headers.get("Content-Location", ""))

    def relay(
        self, verb: str, path: str, query: str, *, most: int, **request: Any
    ) -> tuple[int, dict[str, str], bytes]:
        """Return an answer as it is, errors included: status, headers, body.

        Parameters
        ----------
        query
            As it stands in a URL.
        most
            Bytes of the body.

        Raises
        ------
        UnexpectedAnswer
            If the body is longer.
        """
        url = f"{self.address.route(path)}?{query}".rstrip("?")
        body = bytearray()
        with self._told(), self._http.stream(verb, url, **request) as answer:
            for data in answer.iter_bytes():
                body += data
                if len(body) > most:
                    raise UnexpectedAnswer(
                        f"The answer of {path} is longer than {most} bytes. Download it instead."
                    )
            return answer.status_code, dict(answer.headers), bytes(body)

    def _send(self, verb: str, url: str, **request: Any) -> httpx.Response:
        with self._told():
            answer = self._http.request(verb, url, **request)
        self._check(answer)
        return answer

    @contextlib.contextmanager
    def stream(
        self, path: str, query: Mapping[str, Any], accept: str = "*/*"
    ) -> Iterator[httpx.Response]:
        """Open a streamed answer; silence in it has no limit."""
        import httpx

        with (
            self._told(),
            self._http.stream(
                "GET",
                self.address.route(path),
                params=query,
                headers={"Accept": accept},
                timeout=httpx.Timeout(30.0, read=None),
            ) as answer,
        ):
            if answer.is_error or answer.is_redirect:
                answer.read()
            self._check(answer)
            yield answer

    def copy(self, path: str, into: IO[bytes]) -> None:
        """Write an answer's body to a file."""
        with self.stream(path, {}) as answer:
            for data in answer.iter_bytes():
                into.write(data)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        import httpx

        try:
            yield
        except httpx.TransportError as exc:
            raise ServerNotFound(
                f"The Jupyter server at {self.address.url} (found by {self.address.how}) does not "
                f"answer: {exc}. Is it running?"
            ) from exc

    def _check(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        try:
            body = msgspec.json.decode(answer.content, type=dict[str, object])
        except msgspec.DecodeError:
            body = {}
        message = body.get("message")
        if not isinstance(message, str):
            raise (
                self._away(answer)
                if answer.status_code in GATEWAY_ERRORS
                else self._unexpected(answer)
            )
        if answer.status_code == HTTPStatus.FORBIDDEN and _is_login_refusal(message):
            raise self._unknown_token()
        raised: type[NdsError] = error_class(str(body.get("code", "")))
        known = {"message", "reason", "code", "type", "title", "status", "detail"}
        raise raised(message, **{key: body[key] for key in body.keys() - known})

    def _decoded(self, answer: httpx.Response, wanted: type[T]) -> T:
        try:
            return msgspec.json.decode(answer.content, type=wanted)
        except msgspec.DecodeError as exc:
            raise self._unexpected(answer) from exc

    def _away(self, answer: httpx.Response) -> ServerNotFound:
        return ServerNotFound(
            f"The proxy at {self.address.url} answered {answer.status_code}: the Jupyter server "
            "behind it is away. Is it running?"
        )

    def _unknown_token(self) -> Unauthorized:
        given = "does not accept the token" if self.address.token else "wants a token"
        return Unauthorized(
            f"The Jupyter server at {self.address.url} (found by {self.address.how}) {given}. Set "
            "NDS_TOKEN, or %config NdsMagics.token, or leave both empty for a server of your own "
            "on this machine."
        )

    def _unexpected(self, answer: httpx.Response) -> UnexpectedAnswer:
        return UnexpectedAnswer(
            f"The server at {self.address.url} answered {answer.status_code} without the words of "
            "this API. Is nds_jupyter enabled there (jupyter server extension list), and is the "
            "token right?"
        )


def _is_login_refusal(message: str) -> bool:
    """Tell whether Jupyter says so to who is not logged in; whoever is, is told what he may not."""
    return message == "Forbidden." or "_xsrf" in message
