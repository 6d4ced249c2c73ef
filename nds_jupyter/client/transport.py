"""HTTP connection to one server: token, retry policy, and errors as exceptions."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin

import msgspec

from nds_jupyter.client.discovery import ServerAddress
from nds_jupyter.errors import NdsError, ServerNotFound, Unauthorized, UnexpectedAnswer, error_class

if TYPE_CHECKING:
    import httpx


CHUNK_SIZE = 2**20
"""Bytes that are read or sent at a time."""

UPLOAD_TIMEOUT = 600.0
"""Seconds for the response to an upload: by then the server has verified it."""

MAX_OUTAGE = 60.0
"""Seconds that a server may be away, as long as it takes to be started again."""

INITIAL_DELAY, MAX_DELAY = 0.2, 5.0
"""Seconds between two attempts to connect."""

ProgressCallback = Callable[[str, int, int], object]
"""Called with the name of a file, the bytes transferred, and its size."""


def ignore_progress(name: str, done: int, total: int) -> None:
    """Accept the progress of a transfer that nobody shows."""
    del name, done, total


class RetryPolicy:
    """Exponential back-off between requests to a server that is away, for a limited time."""

    def __init__(self) -> None:
        self._first_failure: float | None = None
        self._delay = INITIAL_DELAY

    def reset(self) -> None:
        """Forget earlier failures after a response."""
        self._first_failure, self._delay = None, INITIAL_DELAY

    def wait_or_raise(self, error: NdsError) -> None:
        """Wait before the next attempt, or raise the error when the outage has lasted too long."""
        self._first_failure = self._first_failure or time.monotonic()
        if time.monotonic() - self._first_failure > MAX_OUTAGE:
            raise error
        time.sleep(self._delay)
        self._delay = min(self._delay * 2, MAX_DELAY)


T = TypeVar("T")

KEEP_ALIVE_OPTIONS = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
if hasattr(socket, "TCP_KEEPIDLE"):
    KEEP_ALIVE_OPTIONS.append((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30))

GATEWAY_ERRORS = frozenset({502, 503, 504})
"""Status codes of a proxy while the server behind it is away."""


class Transport:
    """HTTP client of one server; problem bodies become the exceptions that the server raised.

    Parameters
    ----------
    timeout
        Seconds for a connection, and for a response to begin.
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

    def call(self, verb: str, path: str, response_type: type[T], **request: Any) -> T:
        """Make a request, and return its JSON response decoded as a type."""
        return self._decode(self._send(verb, self.address.route(path), **request), response_type)

    def health(self, path: str, response_type: type[T]) -> tuple[T, str | None]:
        """Return a JSON response even if its status is 503, and its ``Date`` header."""
        with self._connection_errors():
            response = self._http.request("GET", self.address.route(path))
        if response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
            self._raise_for_error(response)
        return self._decode(response, response_type), response.headers.get("Date")

    def exists(self, path: str) -> bool:
        """Return whether a resource exists, by a HEAD request."""
        with self._connection_errors():
            response = self._http.head(self.address.route(path))
        if response.status_code == HTTPStatus.NOT_FOUND:
            return False
        self._raise_for_error(response)
        return True

    def delete(self, path: str) -> None:
        """Delete a resource."""
        self._send("DELETE", self.address.route(path), timeout=60.0)

    def pages(self, path: str, response_type: type[T], query: Mapping[str, Any]) -> Iterator[T]:
        """Yield the pages of a list, following the links between them."""
        url: str | None = self.address.route(path)
        params_once: Mapping[str, Any] | None = query
        while url is not None:
            response = self._send("GET", url, params=params_once)
            yield self._decode(response, response_type)
            next_url = response.links.get("next", {}).get("url")
            url = urljoin(str(response.url), next_url) if next_url else None
            params_once = None

    def content_location(self, path: str, query: Mapping[str, Any]) -> str:
        """Return the ``Content-Location`` of a response: the URL of the list that it is."""
        response = self._send("GET", self.address.route(path), params=query)
        return str(response.headers.get("Content-Location", ""))

    def relay(
        self, verb: str, path: str, query: str, *, most: int, **request: Any
    ) -> tuple[int, dict[str, str], bytes]:
        """Make a request, and return its response as it is, errors included: status, headers, body.

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
        with self._connection_errors(), self._http.stream(verb, url, **request) as response:
            for data in response.iter_bytes():
                body += data
                if len(body) > most:
                    raise UnexpectedAnswer(
                        f"The answer of {path} is longer than {most} bytes. Download it instead."
                    )
            return response.status_code, dict(response.headers), bytes(body)

    def _send(self, verb: str, url: str, **request: Any) -> httpx.Response:
        with self._connection_errors():
            response = self._http.request(verb, url, **request)
        self._raise_for_error(response)
        return response

    @contextlib.contextmanager
    def stream(
        self, path: str, query: Mapping[str, Any], accept: str = "*/*"
    ) -> Iterator[httpx.Response]:
        """Open a streamed response; silence in it has no time limit."""
        import httpx

        with (
            self._connection_errors(),
            self._http.stream(
                "GET",
                self.address.route(path),
                params=query,
                headers={"Accept": accept},
                timeout=httpx.Timeout(30.0, read=None),
            ) as response,
        ):
            if response.is_error or response.is_redirect:
                response.read()
            self._raise_for_error(response)
            yield response

    def download(self, path: str, into: IO[bytes]) -> None:
        """Download the body of a response to a file."""
        with self.stream(path, {}) as response:
            for data in response.iter_bytes():
                into.write(data)

    @contextlib.contextmanager
    def _connection_errors(self) -> Iterator[None]:
        """Raise errors of the connection as `ServerNotFound`."""
        import httpx

        try:
            yield
        except httpx.TransportError as exc:
            raise ServerNotFound(
                f"The Jupyter server at {self.address.url} (found by {self.address.how}) does not "
                f"answer: {exc}. Is it running?"
            ) from exc

    def _raise_for_error(self, response: httpx.Response) -> None:
        if response.is_success:
            return
        try:
            body = msgspec.json.decode(response.content, type=dict[str, object])
        except msgspec.DecodeError:
            body = {}
        message = body.get("message")
        if not isinstance(message, str):
            raise (
                self._gateway_error(response)
                if response.status_code in GATEWAY_ERRORS
                else self._unexpected_response(response)
            )
        if response.status_code == HTTPStatus.FORBIDDEN and _is_login_refusal(message):
            raise self._token_error()
        error_type: type[NdsError] = error_class(str(body.get("code", "")))
        reserved = {"message", "reason", "code", "type", "title", "status", "detail"}
        raise error_type(message, **{key: body[key] for key in body.keys() - reserved})

    def _decode(self, response: httpx.Response, response_type: type[T]) -> T:
        try:
            return msgspec.json.decode(response.content, type=response_type)
        except msgspec.DecodeError as exc:
            raise self._unexpected_response(response) from exc

    def _gateway_error(self, response: httpx.Response) -> ServerNotFound:
        return ServerNotFound(
            f"The proxy at {self.address.url} answered {response.status_code}: the Jupyter server "
            "behind it is away. Is it running?"
        )

    def _token_error(self) -> Unauthorized:
        problem = "does not accept the token" if self.address.token else "wants a token"
        return Unauthorized(
            f"The Jupyter server at {self.address.url} (found by {self.address.how}) {problem}. "
            "Set NDS_TOKEN, or %config NdsMagics.token, or leave both empty for a server of your "
            "own on this machine."
        )

    def _unexpected_response(self, response: httpx.Response) -> UnexpectedAnswer:
        return UnexpectedAnswer(
            f"The server at {self.address.url} answered {response.status_code} without the words "
            "of this API. Is nds_jupyter enabled there (jupyter server extension list), and is the "
            "token right?"
        )


def _is_login_refusal(message: str) -> bool:
    """Return whether Jupyter refused a user who is not logged in; a policy refuses otherwise."""
    return message == "Forbidden." or "_xsrf" in message
