"""Sessions of accounts, each shared by all threads and filesystem instances of a process."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from irods.exception import NetworkException
from irods.session import iRODSSession

from nds_jupyter.data.irods.config import Account, account_from
from nds_jupyter.data.irods.connection_pool import ConnectionPool
from nds_jupyter.data.irods.diagnosis import diagnose
from nds_jupyter.data.irods.exceptions import (
    CLIENT_ERRORS,
    CatalogueLost,
    is_authentication,
    is_timeout,
)

T = TypeVar("T")


class SessionTimeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Timeouts and retries of a session.

    Parameters
    ----------
    timeout
        Seconds without data after which a reply times out.
    patience
        Seconds for which a refused connection is retried.
    attempts
        Attempts of a repeatable call before a broken connection is an error.
    """

    timeout: float = 60.0
    patience: float = 15.0
    attempts: int = 3


class ZoneSession(iRODSSession):  # type: ignore[misc]  # the client has no types
    """Session of the client that uses `ConnectionPool`."""

    pool: Any = None
    supports_genquery2 = True

    def __init__(self, account: Account, timeouts: SessionTimeouts) -> None:
        self._account = account
        self._timeouts = timeouts
        self._version: tuple[int, ...] = ()
        super().__init__(**account.session_arguments())
        self.ticket__ = account.ticket
        self.default_resource_name = account.default_resource

    def configure(self, **kwargs: Any) -> Any:
        """Make the pool."""
        configured = super().configure(**kwargs)
        self.pool = ConnectionPool(
            configured,
            session=self,
            timeout=self._timeouts.timeout,
            patience=self._timeouts.patience,
            policies=self._account.policies,
        )
        return configured

    @property
    def server_version(self) -> tuple[int, ...]:
        """The server's version, queried once: the client's property is not thread-safe."""
        if not self._version:
            with self.pool.get_connection() as conn:
                self._version = conn.server_version
        return self._version


class SessionHolder:
    """Owner of one account's session, which is made on demand, after a fork, for a new password.

    Parameters
    ----------
    options
        Arguments of `account_from`; read again when the zone refuses the account, so that running
        `iinit` is enough.
    """

    def __init__(
        self, account: Account, options: Mapping[str, Any], timeouts: SessionTimeouts
    ) -> None:
        self.account = account
        self.timeouts = timeouts
        self._options = dict(options)
        # A forgotten file is closed by whatever thread collects garbage, also amid this.
        self._lock = threading.RLock()
        self._session: ZoneSession | None = None

    def call(
        self,
        operation: Callable[[ZoneSession], T],
        path: str,
        *,
        repeatable: bool = True,
        subjects: tuple[str, ...] = (),
    ) -> T:
        """Run an operation with the session, and retry it if the connection broke.

        Parameters
        ----------
        path
            The path that the sentence of an error names.
        repeatable
            Whether the operation is idempotent.
        subjects
            The objects that the operation is about, where the sentence names something else.

        Raises
        ------
        OSError
            For whatever the client raised.
        """
        attempts = self.timeouts.attempts
        while True:
            attempts -= 1
            session = self.current()
            try:
                return operation(session)
            except CLIENT_ERRORS as exc:
                if attempts <= 0 or not self._is_retryable(exc, session, repeatable=repeatable):
                    raise diagnose(exc, session, subjects or (path,), path) from exc

    def _is_retryable(self, exc: Exception, session: ZoneSession, *, repeatable: bool) -> bool:
        if is_authentication(exc):
            return self._reload_account(session)
        if not isinstance(exc, NetworkException) or is_timeout(exc):
            return False
        session.pool.close_idle()
        # Connecting has retries of its own; a request that was not sent had no effect.
        refused = "Could not connect" in str(exc) or "negotiation" in str(exc)
        had_no_effect = "Unable to send" in str(exc) or isinstance(exc, CatalogueLost)
        return not refused and (repeatable or had_no_effect)

    def current(self) -> ZoneSession:
        """Return the session."""
        with self._lock:
            if self._session is None:
                self._session = ZoneSession(self.account, self.timeouts)
            return self._session

    def _reload_account(self, refused: ZoneSession) -> bool:
        """Read the configuration again, and return whether it has other credentials now."""
        with self._lock:
            if self._session is not refused:
                return True
            try:
                account = account_from(self._options)
            except ValueError:
                return False
            if account == self.account:
                return False
            self.account, self._session = account, None
            return True

    def close(self) -> None:
        """Close the connections; the next call opens others."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.pool.close_idle()

    def close_idle(self) -> None:
        """Close the connections that nobody uses; those in use come back to the same session."""
        with self._lock:
            session = self._session
        if session is not None:
            session.pool.close_idle()

    def reset_after_fork(self) -> None:
        """Give up the session in a forked child, without a message on the parent's connections."""
        session, self._session = self._session, None
        self._lock = threading.RLock()
        if session is not None:
            session.pool.close_all_sockets()
            # The client's clean-up would take locks of threads that do not exist here.
            session.do_configure, session.pool = {}, None


# A session is shared by all instances of the filesystem, and fsspec makes one in every thread:
# so this registry is global. Its references are weak.
_lock = threading.Lock()
_holders: weakref.WeakValueDictionary[tuple[Account, SessionTimeouts], SessionHolder] = (
    weakref.WeakValueDictionary()
)


def shared_session_holder(options: Mapping[str, Any], timeouts: SessionTimeouts) -> SessionHolder:
    """Return the one `SessionHolder` of the account that these options describe."""
    account = account_from(options)
    key = (account, timeouts)
    with _lock:
        holder = _holders.get(key)
        if holder is None:
            holder = _holders[key] = SessionHolder(account, options, timeouts)
        return holder


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    for holder in list(_holders.values()):
        holder.reset_after_fork()


os.register_at_fork(after_in_child=_after_fork)
