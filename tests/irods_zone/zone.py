"""Zone to test against: a server on this machine, its users, and their client settings."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from irods.password_obfuscation import encode
from irods.session import iRODSSession

from tests.irods_zone import authentication, direct_changes
from tests.irods_zone.connection import MessageConnection
from tests.irods_zone.faults import Faults
from tests.irods_zone.session import Session
from tests.irods_zone.store import ADMIN, RESOURCE, Store
from tests.irods_zone.tls import Certificates

HOST = "127.0.0.1"
BACKLOG = 128


class Zone:
    """An iRODS zone of its own that lives as long as the test."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        tls: bool = False,
        host: str = HOST,
    ) -> None:
        self.folder = folder
        self.host = host
        self.store = Store(folder)
        self.faults = Faults(drop_all=self._drop_all)
        self.store.between = self.faults.between
        self._tls = Certificates(folder, host) if tls else None
        self._passwords: dict[str, str] = {}
        self._sessions: set[Session] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server((host, port), backlog=BACKLOG)
        self.port = int(self._listener.getsockname()[1])
        self._acceptor = threading.Thread(target=self._accept, name="irods-zone", daemon=True)
        self._acceptor.start()
        self._ensure_user(ADMIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The zone's name, the first part of every path."""
        return self.store.zone

    def home(self, user: str = ADMIN) -> str:
        """Give a user's home collection."""
        self._ensure_user(user)
        return f"/{self.name}/home/{user}"

    def password(self, user: str = ADMIN) -> str:
        """Give a user's password."""
        self._ensure_user(user)
        return self._passwords[user]

    def environment(self, user: str = ADMIN, **changes: object) -> dict[str, Any]:
        """Give what `irods_environment.json` says for a user, who is made if need be."""
        self._ensure_user(user)
        return {
            "irods_host": self.host,
            "irods_port": self.port,
            "irods_user_name": user,
            "irods_zone_name": self.name,
            "irods_home": self.home(user),
            "irods_default_resource": RESOURCE,
            **self.tls_environment(),
            **changes,
        }

    def environment_file(self, user: str = ADMIN, **changes: object) -> Path:
        """Write a user's `irods_environment.json`, and `.irodsA` with the password beside it."""
        folder = self.folder / "environments" / f"{user}-{secrets.token_hex(4)}"
        folder.mkdir(parents=True)
        secret = folder / ".irodsA"
        secret.write_text(encode(self.password(user), uid=os.getuid()))
        secret.chmod(0o600)
        environment = self.environment(user, irods_authentication_file=os.fspath(secret), **changes)
        file = folder / "irods_environment.json"
        file.write_text(json.dumps(environment, indent=2))
        return file

    def session(self, user: str = ADMIN, **options: Any) -> iRODSSession:
        """Give a session of a user, who is made if need be."""
        known = {
            "host": self.host,
            "port": self.port,
            "user": user,
            "zone": self.name,
            "password": self.password(user),
        }
        return iRODSSession(**{**known, **self.tls_environment(), **options})

    def tls_environment(self) -> dict[str, object]:
        """Give the part of the environment that asks for TLS; nothing where there is none."""
        return self._tls.environment() if self._tls else {}

    def add_user(self, user: str, password: str, *, kind: str = "rodsuser") -> None:
        """Make a user with a password, or give one another password."""
        with self.store.catalogue.change() as db:
            row = db.execute("SELECT id FROM users WHERE name = ?", (user,)).fetchone()
            user_id = row["id"] if row else self.store.add_user(db, user, kind)
            authentication.set_password(db, user_id, password)
            authentication.add_password(db, user_id, f"pam:{password}")
        self._passwords[user] = password

    def expire_password(self, user: str = ADMIN) -> None:
        """Let a user's password be too old from now on."""
        with self.store.catalogue.change() as db:
            db.execute(
                "UPDATE passwords SET expires = ? WHERE user_id ="
                " (SELECT id FROM users WHERE name = ?)",
                (time.time() - 1, user),
            )

    def fill(self, collection: str, names: list[str], content: bytes = b"") -> None:
        """Make many objects at once, straight in the catalogue."""
        direct_changes.fill(self.store, collection, names, content)

    def overwrite(self, path: str, content: bytes) -> None:
        """Change an object behind the back of whoever reads it."""
        direct_changes.overwrite(self.store, path, content)

    def lose_file(self, path: str, *, replica: int | None = None) -> None:
        """Remove an object's file, or that of one replica, from the vault behind the catalogue."""
        direct_changes.lose_file(self.store, path, replica=replica)

    def damage_file(self, path: str, content: bytes, *, replica: int | None = None) -> None:
        """Give the file of an object in the vault other bytes; the catalogue has the old facts."""
        direct_changes.damage_file(self.store, path, content, replica=replica)

    def kill_writers(self, path: str) -> None:
        """Kill the server's agents that write an object: its replica stays intermediate."""
        with self._lock:
            writers = [session for session in self._sessions if session.writes(path)]
        for session in writers:
            session.kill()

    def restart_database(self) -> None:
        """Restart the database: the connections that there are stay broken, new ones work."""
        self.stop_database()
        self.start_database()

    def stop_database(self) -> None:
        """Stop the database until `start_database`: nobody can log in."""
        self.store.database.stop()
        self.store.catalogue.transactions.end_all()

    def start_database(self) -> None:
        """Start the database again."""
        self.store.database.start()

    def set_resource(self, name: str, *, is_up: bool) -> None:
        """Set a resource down, or up again, as an administrator does."""
        direct_changes.set_resource(self.store, name, is_up=is_up)

    def exceed_quota(self, user: str, *, is_over: bool = True) -> None:
        """Let a user have used up the quota: nothing more is written by them, or all again."""
        direct_changes.set_over_quota(self.store, user, is_over=is_over)

    def add_resource(self, name: str, *, kind: str = "unixfilesystem", parent: str = "") -> None:
        """Add a storage resource, or one like `replication` for others, whose parent it is."""
        with self.store.catalogue.change() as db:
            self.store.add_resource(db, name, kind, parent)

    def close(self) -> None:
        """End every connection and the server."""
        self.faults.clear()
        listener, self._listener = self._listener, None
        if listener is not None:
            _close_listener(listener)
        self._acceptor.join()
        self._drop_all()
        for thread in list(self._threads):
            thread.join()
        self.store.close()

    def _ensure_user(self, user: str) -> None:
        if user not in self._passwords:
            self.add_user(user, secrets.token_hex(8))

    def _accept(self) -> None:
        while (listener := self._listener) is not None:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            if self.faults.refusing:
                sock.close()
                continue
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.add(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        session = Session(MessageConnection(sock), self.store, self.faults, self._tls)
        with self._lock:
            self._sessions.add(session)
        try:
            session.serve()
        finally:
            with self._lock:
                self._sessions.discard(session)
            self._threads.discard(threading.current_thread())

    def _drop_all(self) -> None:
        with self._lock:
            sessions = list(self._sessions)
        for session in sessions:
            session.interrupt()


def _close_listener(listener: socket.socket) -> None:
    # Not every system lets a listener be shut down; closing it is enough there.
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
