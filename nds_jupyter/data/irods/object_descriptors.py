"""Descriptors of open data objects, each on a connection of its own."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from irods import keywords as kw
from irods.api_number import api_number
from irods.exception import NetworkException, iRODSException
from irods.message import FileOpenRequest, JSON_Message, StringStringMap, iRODSMessage

from nds_jupyter.data.irods.exceptions import CLIENT_ERRORS
from nds_jupyter.data.irods.sessions import ZoneSession

READ, WRITE, CREATE, TRUNCATE = 0, 1, 64, 512
"""Open flags, as the protocol has them."""

BLOCK = 4 * 2**20
"""Bytes of one request; measured fastest, larger ones are slower."""

REPLICA_TOKENS_SINCE = (4, 2, 9)
"""The first version that tells of an open descriptor, and lets others join its writing."""

_SECONDARY_CLOSE_OPTIONS = dict.fromkeys(
    ("send_notification", "update_size", "update_status", "compute_checksum"), False
)


def object_request(
    path: str,
    *,
    flags: int = 0,
    size: int = 0,
    operation: int = 0,
    options: dict[str, str] | None = None,
) -> FileOpenRequest:
    """Return the body of a request about one path, which many calls of the protocol share.

    Parameters
    ----------
    flags
        Sum of open flags.
    size
        Bytes of the object; -1 if not known.
    operation
        What is done, as the protocol numbers it.
    options
        Keywords of the protocol.
    """
    return FileOpenRequest(
        objPath=path,
        createMode=0,
        openFlags=flags,
        offset=0,
        dataSize=size,
        numThreads=0,
        oprType=operation,
        KeyValPair_PI=StringStringMap(options or {}),
    )


class Descriptor:
    """Server-side descriptor of one open data object.

    Parameters
    ----------
    flags
        Sum of open flags.
    size
        Final size, so that the server can choose a resource; -1 if not known.
    options
        Keywords of the protocol.
    finalize
        Whether closing it updates the catalogue; false for the further streams of a parallel write.
    """

    def __init__(
        self,
        session: ZoneSession,
        path: str,
        flags: int,
        *,
        size: int = -1,
        options: dict[str, str] | None = None,
        finalize: bool = True,
    ) -> None:
        self._options = dict(options or {})
        if session.default_resource_name and kw.RESC_HIER_STR_KW not in self._options:
            self._options[kw.DEST_RESC_NAME_KW] = session.default_resource_name
        request = object_request(path, flags=flags, size=size, options=self._options)
        self._conn: Any = session.pool.get_connection()
        try:
            self._conn.send(_message(request, "DATA_OBJ_OPEN_AN"))
            number = self._conn.recv().int_info
        except BaseException as exc:
            # The client's own open leaks the connection.
            self._conn.__exit__(type(exc))
            raise
        self._version = session.server_version
        self._number = number
        self._finalize = finalize
        self._open = self._in_sync = True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move the position, and return it."""
        with self._one_request():
            return int(self._conn.seek_file(self._number, offset, whence))

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, fewer only at the end."""
        # Only this kind of buffer is returned as bytes without a copy.
        file = io.BytesIO(bytes(size))
        with file.getbuffer() as buffer:
            done = self.read_into(buffer)
        file.truncate(done)
        return file.getvalue()

    def read_into(self, buffer: memoryview) -> int:
        """Fill a buffer, less of it only at the end, and return the bytes read."""
        done = 0
        while done < len(buffer):
            with self._one_request(), _eof_as_error(self._conn):
                part = self._conn.read_file(self._number, buffer=buffer[done:])
            if not part:
                break
            done += len(part)
        return done

    def write(self, data: bytes) -> None:
        """Write all bytes."""
        with self._one_request():
            self._conn.write_file(self._number, data)

    @contextlib.contextmanager
    def _one_request(self) -> Iterator[None]:
        """Record whether a request was left without its reply; no other can follow it then.

        An interrupted cell does that, and the next cell may use the same file.
        """
        if not self._in_sync:
            raise NetworkException("A request was left without its answer")
        self._in_sync = False
        try:
            yield
        except iRODSException:
            self._in_sync = True
            raise
        self._in_sync = True

    def replica_options(self) -> dict[str, str]:
        """Return the keywords with which others can open the same replica."""
        info = self._info()
        hierarchy = (info.get("data_object_info") or {}).get("resource_hierarchy", "")
        token = str(info.get("replica_token", ""))
        return {kw.RESC_HIER_STR_KW: str(hierarchy), kw.REPLICA_TOKEN_KW: token}

    def registered_size(self) -> int:
        """Return the size that the catalogue has of the open replica, in bytes."""
        if self._version < REPLICA_TOKENS_SINCE:
            return self.seek(0, 2)
        return int((self._info().get("data_object_info") or {})["data_size"])

    def _info(self) -> dict[str, Any]:
        reply = self._request({"fd": self._number}, "GET_FILE_DESCRIPTOR_INFO_APN")
        return dict(reply.get_json_encoded_struct())

    def close(self) -> None:
        """Close it; of a written object the server computes the checksum meanwhile."""
        if not self._open:
            return
        if not self._in_sync or self._conn.socket is None:
            self.abort()
            raise NetworkException("The connection broke before the object was closed")
        self._open = False
        kind: type[BaseException] | None = None
        try:
            self._conn.socket.settimeout(None)
            if self._finalize:
                self._conn.close_file(self._number, **self._options)
            else:
                self._request({"fd": self._number, **_SECONDARY_CLOSE_OPTIONS}, "REPLICA_CLOSE_APN")
        except BaseException as exc:
            kind = type(exc)
            raise
        finally:
            self._conn.__exit__(kind)

    def abort(self) -> None:
        """Close the connection: the server then closes the object without finalizing it."""
        if self._open:
            self._open = False
            self._conn.release(True)

    def close_quietly(self) -> None:
        """Close it if that is possible, so that the object can be removed; ignore errors."""
        with contextlib.suppress(*CLIENT_ERRORS, OSError):
            self.close()

    def _request(self, body: dict[str, Any], api: str) -> Any:
        with self._one_request():
            self._conn.send(_message(JSON_Message(body, server_version=self._version), api))
            return self._conn.recv()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.close_quietly()


def _message(body: Any, api: str) -> Any:
    return iRODSMessage("RODS_API_REQ", msg=body, int_info=api_number[api])


class _EofCheckingSocket:
    """Wrapper of a socket that raises at the end of the stream.

    The client reads into a buffer until it is full, and takes the end of the connection for one
    more empty chunk: it would loop for ever (python-irodsclient 3.3, `_recv_message_into`; its
    issue 352 is the same fault in the function beside it).
    """

    def __init__(self, sock: Any) -> None:
        self._socket = sock

    def recv_into(self, *args: Any) -> int:
        received = int(self._socket.recv_into(*args))
        if not received:
            raise ConnectionResetError("the server closed the connection in the middle of a reply")
        return received

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


@contextlib.contextmanager
def _eof_as_error(conn: Any) -> Iterator[None]:
    """Make the end of a connection amid a reply an error."""
    sock = conn.socket
    conn.socket = _EofCheckingSocket(sock)
    try:
        yield
    finally:
        if isinstance(conn.socket, _EofCheckingSocket):
            conn.socket = sock
