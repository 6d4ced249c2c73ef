"""Exceptions of python-irodsclient mapped to subclasses of `OSError`.

The client's exceptions often have no message, so every sentence here names the path itself and
says what to do.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import ssl
from collections.abc import Iterator

import msgspec
from irods import exception as ex
from irods.auth import ClientAuthError

from nds_jupyter.data.irods.server_codes import code_of, name_of, thousands


class AuthenticationFailed(PermissionError):
    """The zone does not accept the account: wrong or expired password, unknown user or ticket."""


class ClientUserUnknown(PermissionError):
    """The zone does not know the user that the account is to act for."""


class ZoneUnavailable(ConnectionError):
    """The zone does not answer, or the connection to it broke."""


class ChecksumMismatch(OSError):
    """What arrived is not what was sent."""


class ContentMissing(OSError):
    """The catalogue has the object, and its storage has no file for it, or a shorter one."""


class CatalogueLost(ex.NetworkException):  # type: ignore[misc]  # the client has no types
    """The server's connection to its database is gone; it answers nothing right on this one."""


class ConfigurationError(ValueError):
    """The settings do not describe an account that can connect."""


RENEW = "Run iinit again, or give the right password."


class ExceptionMapping(msgspec.Struct, frozen=True):
    """Class, number and message of the `OSError` for an exception of the client.

    Parameters
    ----------
    sentence
        With fields for ``path`` and for ``said``, the server's own message.
    """

    kind: type[OSError]
    number: int
    sentence: str

    def error(self, path: str, said: str = "") -> OSError:
        """Return the error for a path."""
        return self.kind(self.number, self.sentence.format(path=path, said=said))


MISSING = ExceptionMapping(
    FileNotFoundError, errno.ENOENT, "There is no {path}, or it is not shared with you"
)
FORBIDDEN = ExceptionMapping(
    PermissionError,
    errno.EACCES,
    "{path}: your iRODS account has no permission for that. Ask the owner for it{said}",
)
BAD_CREDENTIALS = ExceptionMapping(
    AuthenticationFailed,
    errno.EACCES,
    f"{{path}}: iRODS does not accept the user or the password. {RENEW}",
)
NO_SUCH_CLIENT = ExceptionMapping(
    ClientUserUnknown,
    errno.EACCES,
    "{path}: iRODS has no user of the name that the account is to act for",
)
NO_PROXY = ExceptionMapping(
    AuthenticationFailed,
    errno.EACCES,
    "{path}: the iRODS account may not act for others. It must be a rodsadmin",
)
EXPIRED = ExceptionMapping(
    AuthenticationFailed, errno.EACCES, f"{{path}}: the iRODS password has expired. {RENEW}"
)
TICKET_REFUSED = ExceptionMapping(
    AuthenticationFailed,
    errno.EACCES,
    "{path}: the ticket does not allow that. It may be for reading only, for another path, or used "
    "up",
)
TICKET_MISSING = ExceptionMapping(
    FileNotFoundError,
    errno.ENOENT,
    "There is no {path}, or the ticket does not open it: it may be wrong, or for another path",
)
TICKET_UNANSWERED = ExceptionMapping(
    ZoneUnavailable,
    errno.ECONNABORTED,
    "{path}: the iRODS server ended the connection without an answer. It also does that where a "
    "ticket lets no more files be written",
)
TICKET_EXPIRED = ExceptionMapping(
    AuthenticationFailed, errno.EACCES, "{path}: the ticket has expired. Ask for a new one"
)
TICKET_USED_UP = ExceptionMapping(
    AuthenticationFailed,
    errno.EACCES,
    "{path}: the ticket is used up, each connection being one use. Ask for one with more uses",
)
TICKET_OF_ANOTHER_USER = ExceptionMapping(
    AuthenticationFailed, errno.EACCES, "{path}: the ticket is for other users. Ask its owner"
)
TICKET_OF_ANOTHER_HOST = ExceptionMapping(
    AuthenticationFailed, errno.EACCES, "{path}: the ticket is for other hosts. Ask its owner"
)
TICKET_OF_ANOTHER_GROUP = ExceptionMapping(
    AuthenticationFailed, errno.EACCES, "{path}: the ticket is for other groups. Ask its owner"
)
TICKET_FILES_USED_UP = ExceptionMapping(
    AuthenticationFailed,
    errno.EACCES,
    "{path}: the ticket lets no more files be written. Ask for one with a higher limit",
)
TICKET_BYTES_USED_UP = ExceptionMapping(
    AuthenticationFailed,
    errno.EACCES,
    "{path}: the ticket lets no more bytes be written. Ask for one with a higher limit",
)
EXISTS = ExceptionMapping(FileExistsError, errno.EEXIST, "{path} exists already")
NOT_EMPTY = ExceptionMapping(OSError, errno.ENOTEMPTY, "{path} is not empty. Remove it recursively")
TIMED_OUT = ExceptionMapping(
    TimeoutError,
    errno.ETIMEDOUT,
    "{path}: the iRODS server has not answered in time. Try again, or give a longer timeout",
)
QUOTA = ExceptionMapping(
    OSError, errno.EDQUOT, "{path}: the quota is used up. Remove data, or ask for more"
)
FULL = ExceptionMapping(
    OSError, errno.ENOSPC, "{path}: the iRODS resource is full. Free space, or use another"
)
BUSY = ExceptionMapping(
    OSError, errno.EBUSY, "{path} is being written by somebody else. Try again later"
)
CHECKSUM_MISMATCH = ExceptionMapping(
    ChecksumMismatch,
    errno.EIO,
    "{path}: the checksum is not that of what was sent. Transfer it again",
)
TOO_LONG = ExceptionMapping(OSError, errno.ENAMETOOLONG, "{path}: the path is too long for iRODS")
INVALID = ExceptionMapping(OSError, errno.EINVAL, "{path}: iRODS does not take this path{said}")
NOT_MADE_THERE = ExceptionMapping(
    PermissionError,
    errno.EACCES,
    "{path}: your iRODS account may not make anything there. Choose another place, or ask the "
    "owner of the collection",
)
NOT_A_COLLECTION = ExceptionMapping(
    NotADirectoryError, errno.ENOTDIR, "{path}: a data object stands where a collection is needed"
)
NOT_A_DATA_OBJECT = ExceptionMapping(
    IsADirectoryError, errno.EISDIR, "{path} is a collection, not a data object"
)
CONTENT_MISSING = ExceptionMapping(
    ContentMissing,
    errno.EIO,
    "{path}: its file is missing in the storage of the zone. Ask who runs the zone, or write the "
    "object again",
)
NO_REPLICA = ExceptionMapping(
    OSError,
    errno.EBUSY,
    "{path}: no replica of it can be used now: one is being written, or its storage is down. Try "
    "again later",
)
BEING_STAGED = ExceptionMapping(
    OSError, errno.EBUSY, "{path} is being fetched from the archive. Try again later"
)
UNKNOWN_RESOURCE = ExceptionMapping(
    OSError,
    errno.ENODEV,
    "{path}: the zone has no such storage resource. Correct irods_default_resource",
)
CHILD_RESOURCE = ExceptionMapping(
    OSError,
    errno.ENODEV,
    "{path}: the storage resource is a part of another one. Set irods_default_resource to that",
)
REFUSED_BY_CATALOGUE = ExceptionMapping(
    OSError,
    errno.EINVAL,
    "{path}: the catalogue of the zone can't take it: a text is too long, or has characters that "
    "its database does not take",
)
STORAGE_DOWN = ExceptionMapping(
    ZoneUnavailable,
    errno.EHOSTDOWN,
    "{path}: the storage behind it is down. Try again, or ask who runs the zone",
)
TOO_MANY_CONNECTIONS = ExceptionMapping(
    ZoneUnavailable,
    errno.EAGAIN,
    "{path}: the iRODS server takes no more connections. Try again later",
)
NEGOTIATION = ExceptionMapping(
    ZoneUnavailable,
    errno.EPROTO,
    "{path}: client and server do not agree on TLS. Set irods_client_server_policy to what the "
    "zone wants",
)
TLS = ExceptionMapping(
    ZoneUnavailable,
    errno.EPROTO,
    "{path}: TLS with the iRODS server failed{said}. Check irods_ssl_ca_certificate_file and "
    "irods_ssl_verify_server",
)
CATALOGUE_LOST = ExceptionMapping(
    ZoneUnavailable,
    errno.ECONNABORTED,
    "{path}: the iRODS server lost its catalogue meanwhile, and what was begun is not done. Try "
    "again",
)
UNREACHABLE = ExceptionMapping(
    ZoneUnavailable,
    errno.ECONNABORTED,
    "{path}: the iRODS server does not answer. Is the zone running?",
)

_NAMES = {
    MISSING: "DoesNotExist OBJ_PATH_DOES_NOT_EXIST CAT_NO_ROWS_FOUND CAT_UNKNOWN_COLLECTION "
    "CAT_UNKNOWN_FILE USER_FILE_DOES_NOT_EXIST SYS_SPEC_COLL_OBJ_NOT_EXIST CAT_INVALID_ZONE "
    "CAT_NOT_A_DATAOBJ_AND_NOT_A_COLLECTION SYS_INVALID_ZONE_NAME NoResultFound",
    FORBIDDEN: "CAT_NO_ACCESS_PERMISSION SYS_NO_DATA_OBJ_PERMISSION SYS_NO_PATH_PERMISSION "
    "CAT_INSUFFICIENT_PRIVILEGE_LEVEL SYS_NO_API_PRIV USER_ACCESS_DENIED SYS_NOT_ALLOWED "
    "CAT_TABLE_ACCESS_DENIED SYS_DELETE_DISALLOWED SYS_USER_NO_PERMISSION",
    BAD_CREDENTIALS: "CAT_INVALID_AUTHENTICATION CAT_INVALID_USER PAM_AUTH_PASSWORD_FAILED "
    "SYS_USER_NOT_ALLOWED_TO_CONN USER_INVALID_USERNAME_FORMAT AUTHENTICATION_ERROR",
    NO_SUCH_CLIENT: "CAT_INVALID_CLIENT_USER",
    NO_PROXY: "SYS_PROXYUSER_NO_PRIV",
    EXPIRED: "CAT_PASSWORD_EXPIRED",
    TICKET_REFUSED: "CAT_TICKET_INVALID",
    TICKET_EXPIRED: "CAT_TICKET_EXPIRED",
    TICKET_USED_UP: "CAT_TICKET_USES_EXCEEDED",
    TICKET_OF_ANOTHER_USER: "CAT_TICKET_USER_EXCLUDED",
    TICKET_OF_ANOTHER_HOST: "CAT_TICKET_HOST_EXCLUDED",
    TICKET_OF_ANOTHER_GROUP: "CAT_TICKET_GROUP_EXCLUDED",
    TICKET_FILES_USED_UP: "CAT_TICKET_WRITE_USES_EXCEEDED",
    TICKET_BYTES_USED_UP: "CAT_TICKET_WRITE_BYTES_EXCEEDED",
    EXISTS: "OVERWRITE_WITHOUT_FORCE_FLAG CAT_NAME_EXISTS_AS_DATAOBJ "
    "CAT_NAME_EXISTS_AS_COLLECTION DataObjectExistsAtLogicalPath "
    "CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME",
    NOT_EMPTY: "CAT_COLLECTION_NOT_EMPTY SYS_COLLECTION_NOT_EMPTY",
    TIMED_OUT: "SYS_SOCK_READ_TIMEDOUT USER_SOCK_CONNECT_TIMEDOUT",
    QUOTA: "SYS_RESC_QUOTA_EXCEEDED",
    BUSY: "LOCKED_DATA_OBJECT_ACCESS INTERMEDIATE_REPLICA_ACCESS",
    CHECKSUM_MISMATCH: "USER_CHKSUM_MISMATCH",
    TOO_LONG: "USER_PATH_EXCEEDS_MAX USER_STRLEN_TOOLONG USER_PACKSTRUCT_INPUT_ERR",
    INVALID: "USER_INPUT_PATH_ERR SYS_INVALID_FILE_PATH CAT_INVALID_ARGUMENT "
    "CAT_RECURSIVE_MOVE SAME_SRC_DEST_PATHS_ERR SYS_INVALID_INPUT_PARAM",
    NOT_A_COLLECTION: "NOT_A_COLLECTION",
    NOT_A_DATA_OBJECT: "NOT_A_DATA_OBJECT",
    NO_REPLICA: "HIERARCHY_ERROR SYS_NO_GOOD_REPLICA",
    BEING_STAGED: "REPLICA_IS_BEING_STAGED",
    UNKNOWN_RESOURCE: "SYS_RESC_DOES_NOT_EXIST CAT_UNKNOWN_RESOURCE CAT_INVALID_RESOURCE "
    "CAT_INVALID_RESOURCE_NAME",
    CHILD_RESOURCE: "DIRECT_CHILD_ACCESS",
    REFUSED_BY_CATALOGUE: "CAT_SQL_ERR",
    STORAGE_DOWN: "SYS_RESC_IS_DOWN SYS_REPLICA_INACCESSIBLE",
    TOO_MANY_CONNECTIONS: "SYS_EXCEED_CONNECT_CNT SYS_OUT_OF_FILE_DESC "
    "SYS_MAX_CONNECT_COUNT_EXCEEDED SYS_FORK_ERROR SYS_AGENT_INIT_ERR",
}

_BY_CODE = {
    code: mapping
    for mapping, names in _NAMES.items()
    for name in names.split()
    if (code := code_of(name)) is not None
}

# Versions of the client differ in the errors of the server that they have classes for.
EXCEPTION_MAPPINGS: dict[type[BaseException], ExceptionMapping] = {
    getattr(ex, name): mapping
    for mapping, names in _NAMES.items()
    for name in names.split()
    if hasattr(ex, name)
} | {ClientAuthError: BAD_CREDENTIALS, CatalogueLost: CATALOGUE_LOST}


def is_authentication(exc: BaseException) -> bool:
    """Whether the zone refused the account, so that other credentials could help."""
    return _mapping(exc) in (BAD_CREDENTIALS, EXPIRED)


def short_content(path: str, size: int, registered: int) -> ContentMissing:
    """Return the error for an object whose file is shorter than the catalogue says.

    Parameters
    ----------
    size, registered
        Bytes of the file, and of the catalogue.
    """
    return ContentMissing(
        errno.EIO,
        f"{path}: its file in the storage of the zone has {size} of {registered} bytes. Ask who "
        "runs the zone, or write the object again",
    )


def is_timeout(exc: BaseException) -> bool:
    """Whether the cause is a timeout; the client wraps the socket's exception."""
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, TimeoutError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def server_code(exc: BaseException) -> int:
    """Return the server's code of an exception of the client, negative; 0 if it has none."""
    if not isinstance(exc, ex.iRODSException):
        return 0
    return -abs(int(getattr(exc, "code", 0) or 0))


def map_exception(exc: BaseException, path: str) -> OSError:
    """Return the `OSError` for an exception of the client.

    Parameters
    ----------
    path
        The path that the sentence names.
    """
    if (mapping := _mapping(exc)) is not None:
        return mapping.error(path, _detail(exc))
    if isinstance(exc, ex.iRODSException):
        return _unmapped_server_error(exc, path)
    if isinstance(exc, ssl.SSLError):
        return TLS.error(path, f" ({exc.reason})" if exc.reason else "")
    if is_timeout(exc):
        return TIMED_OUT.error(path)
    return (NEGOTIATION if "negotiation failure" in str(exc) else UNREACHABLE).error(path)


def _mapping(exc: BaseException) -> ExceptionMapping | None:
    code = server_code(exc)
    if code <= -1000:
        if name_of(code) == "SYS_INVALID_INPUT_PARAM":
            return _mapping_of_invalid_input(str(exc))
        return _BY_CODE.get(thousands(code)) or _mapping_of_errno(code)
    for kind in type(exc).__mro__:
        if kind in EXCEPTION_MAPPINGS:
            return EXCEPTION_MAPPINGS[kind]
    return None


def _mapping_of_invalid_input(said: str) -> ExceptionMapping:
    """Tell by the server's message what it has no code of its own for."""
    if "valid zone name" in said:
        # The permission to make something is looked for up to the root, where there is none.
        return NOT_MADE_THERE
    return STORAGE_DOWN if said.startswith("DEBUG") else INVALID


_STORAGE_ERROR = re.compile(r"UNIX_FILE_|S3_FILE_|UNIV_MSS_|S3_PUT_|S3_GET_")
_MAKING = re.compile(r"_(CREATE|MKDIR|PUT)_")


def _mapping_of_errno(code: int) -> ExceptionMapping | None:
    """Map the errno of a system call on the server, which the last digits of a code hold."""
    number, name = abs(code) % 1000, name_of(code)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return FULL if number == errno.ENOSPC else QUOTA
    if not _STORAGE_ERROR.match(name):
        return None
    if number == errno.ENAMETOOLONG:
        return TOO_LONG
    return CONTENT_MISSING if number == errno.ENOENT and not _MAKING.search(name) else None


def _unmapped_server_error(exc: ex.iRODSException, path: str) -> OSError:
    code = server_code(exc)
    number = abs(code) % 1000
    name = name_of(code) or (type(exc).__name__ if code == 0 else "an error without a name")
    cause = f", {os.strerror(number)}" if number in errno.errorcode and code <= -1000 else ""
    return OSError(
        errno.EIO,
        f"{path}: the iRODS server failed with {name} ({code}{cause}){_detail(exc)}. "
        "Ask who runs the zone",
    )


_DEBUG_TEXT = re.compile(r"DEBUG|errno \[|\.[ch]pp\b|^-?\d+$|^None$")
"""What the server says to its developers."""


def _detail(exc: BaseException) -> str:
    text = " ".join(str(exc).split())
    return "" if not text or _DEBUG_TEXT.search(text) else f" ({text[:300]})"


CLIENT_ERRORS = (
    ClientAuthError,
    ex.iRODSException,
    ex.PycommandsException,
    ssl.SSLError,
)


@contextlib.contextmanager
def mapped_errors(path: str) -> Iterator[None]:
    """Raise what the client raises in a block about a path as `OSError`."""
    try:
        yield
    except CLIENT_ERRORS as exc:
        raise map_exception(exc, path) from exc
