"""Why an engine could not be reached, in a few words."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator

from nds_jupyter.engines._ssh import SshFailed

NO_REASON = ". Start it, or set c.NdsApp.engine_url."
"""How the sentence goes on where nothing more is known."""

_WORDS = {
    errno.ECONNREFUSED: f": nothing listens there{NO_REASON}",
    errno.ENOENT: f": its socket is not there{NO_REASON}",
    errno.EHOSTUNREACH: ": there is no way to its machine. Look at the network between.",
    errno.ENETUNREACH: ": there is no way to its network. Look at the network between.",
    errno.EACCES: ": the server's account may not open its socket. Put it into the group docker.",
}


def reason(error: BaseException) -> str:
    """Return how "The Docker Engine does not answer" goes on; empty if nothing more is known."""
    for each in _chain(error):
        if isinstance(each, SshFailed):
            return f": by ssh, {each}."
        if isinstance(each, ssl.SSLCertVerificationError):
            return (
                f": its certificate is not good for this address ({each.verify_message}). Look at "
                "ca.pem here, and at the names in its certificate."
            )
        if isinstance(each, ssl.SSLError):
            return (
                f": TLS failed ({each.reason or each}). Look whether it listens with TLS, and "
                "whether it accepts the authority of cert.pem here."
            )
        if isinstance(each, socket.gaierror):
            return ": no machine of that name is known. Mend its address."
        if isinstance(each, OSError) and each.errno in _WORDS:
            return _WORDS[each.errno]
    return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Give an error and all that it came from or wraps, each once."""
    seen: set[int] = set()
    left: list[object] = [error]
    while left:
        each = left.pop(0)
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        left += [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]
