"""Session of one connection: handshake, login, and dispatch of its calls."""

from __future__ import annotations

import base64
import dataclasses
import ssl
from collections.abc import Callable, Iterator
from xml.etree.ElementTree import Element

from tests.irods_zone import (
    admin,
    authentication,
    closing,
    collection_calls,
    collection_listing,
    collection_paths,
    copying,
    descriptor_calls,
    genquery1,
    genquery2,
    metadata,
    mounted_files,
    object_calls,
    path_status,
    permissions,
    renaming,
    replica_state,
    special_collections,
    tickets,
    unaskable_names,
)
from tests.irods_zone.authentication import Login
from tests.irods_zone.codes import Api, CallError, Status
from tests.irods_zone.column_mappings import column_mappings
from tests.irods_zone.connection import ConnectionLost, Header, MessageConnection
from tests.irods_zone.descriptors import Descriptors
from tests.irods_zone.faults import Faults
from tests.irods_zone.handlers import Handler, Reply
from tests.irods_zone.handshake import StartupPack, handshake
from tests.irods_zone.packing import (
    number,
    pack,
    pack_error,
    pack_json,
    pack_text,
    text,
    unpack,
    unpack_json,
)
from tests.irods_zone.permissions import Identity
from tests.irods_zone.store import Store
from tests.irods_zone.tls import Certificates
from tests.irods_zone.transfer import put, read, receive, write

BEFORE_LOGIN = (
    Api.AUTH_REQUEST,
    Api.AUTH_RESPONSE,
    Api.AUTH_PLUGIN,
    Api.PAM_AUTH,
    Api.AUTHENTICATE,
)
HANDLERS: dict[int, Handler] = {
    Api.CREATE: descriptor_calls.create_object,
    Api.OPEN: descriptor_calls.open_object,
    Api.UNLINK: object_calls.unlink,
    Api.MODIFY_REPLICA: replica_state.modify,
    Api.RENAME: renaming.rename,
    Api.CHECKSUM: object_calls.checksum,
    Api.TRIM: object_calls.trim,
    Api.TRUNCATE: object_calls.truncate_as_before,
    Api.CLOSE: descriptor_calls.close,
    Api.LSEEK: descriptor_calls.seek,
    Api.REMOVE_COLLECTION: collection_calls.remove,
    Api.CREATE_COLLECTION: collection_calls.create,
    Api.REPLICATE: copying.replicate,
    Api.COPY: copying.copy,
    Api.METADATA: metadata.modify,
    Api.TRUNCATE_REPLICA: object_calls.truncate,
    Api.RESOURCE_FOR_OPERATION: descriptor_calls.resource_for_operation,
    Api.DESCRIPTOR_INFO: descriptor_calls.describe,
    Api.ATOMIC_METADATA: metadata.apply,
    Api.CLOSE_REPLICA: descriptor_calls.close_replica,
    Api.TOUCH: object_calls.touch,
}

# Calls for which it matters that a collection is a special one.
LISTING_HANDLERS: dict[int, Handler] = {
    Api.REGISTER: special_collections.register,
    Api.STAT: path_status.stat,
    Api.OPEN_COLLECTION: collection_listing.open_collection,
    Api.READ_COLLECTION: collection_listing.read_collection,
    Api.CLOSE_COLLECTION: collection_listing.close_collection,
    Api.QUERY_SPECIAL: collection_listing.query_special,
}


class Session:
    """Serves one connection until it ends."""

    def __init__(
        self,
        connection: MessageConnection,
        store: Store,
        faults: Faults,
        tls: Certificates | None = None,
    ) -> None:
        self.store = store
        self.descriptors = Descriptors()
        self.identity: Identity | None = None
        self.listings: dict[int, Iterator[str]] = {}
        self._connection = connection
        self._faults = faults
        self._tls = tls
        self._login = Login(user="")
        self._run = 0
        self._killed = False
        self._statements = genquery1.Statements(catalogue=store.catalogue)
        self._own: dict[int, Callable[[Element], Reply]] = {
            Api.AUTH_REQUEST: self._challenge,
            Api.AUTH_RESPONSE: self._respond,
            Api.AUTH_PLUGIN: self._plugin,
            Api.PAM_AUTH: self._pam,
            Api.AUTHENTICATE: self._authenticate,
            Api.GENQUERY1: self._query1,
            Api.GENQUERY2: self._query2,
            Api.TICKET: self._ticket,
            Api.ACCESS: self._access,
            Api.ADMIN: lambda body: admin.administer(self, body, self._login),
            Api.USER_ADMIN: lambda body: admin.change_own(self, body, self._login),
            Api.TEMPORARY_PASSWORD: lambda _: admin.temporary_password(self),
        }

    @property
    def who(self) -> Identity:
        """Who the connection acts for, once that is proved."""
        if self.identity is None:
            raise CallError(Status.NOT_AUTHENTICATED)
        return self.identity

    def serve(self) -> None:
        """Answer calls until the client or a fault ends the connection."""
        try:
            status = Status.OK if self.store.database.is_running else Status.NO_DATABASE
            self._startup_pack = handshake(
                self._connection, self._faults.version, self._tls, status=status
            )
            self._login.user = self._startup_pack.proxy_user
            while (header := self._connection.receive_header()).kind != "RODS_DISCONNECT":
                self._answer(header)
            self._connection.finish_tls()
        except (OSError, ssl.SSLError, CallError):
            pass  # The client went away, or is none; what it left open is finalized all the same.
        finally:
            self._end()

    def interrupt(self) -> None:
        """End the connection under its client."""
        self._connection.interrupt()

    def kill(self) -> None:
        """End the agent at once: what it has open stays as it is."""
        self._killed = True
        self.interrupt()

    def writes(self, path: str) -> bool:
        """Whether this agent has an object open for writing."""
        opened = [self.descriptors.get(inx) for inx in self.descriptors.numbers()]
        return any(each.path == path and each.writes for each in opened)

    def _end(self) -> None:
        for inx in self.descriptors.numbers():
            if self._killed or self._run != self.store.database.run:
                closing.abandon(self, inx)
                continue
            try:
                closing.finalize(self, inx, interrupted=True)
            except CallError:
                continue  # Somebody removed the object under its writer.
        self._statements.close()
        self.store.catalogue.transactions.end()
        self._connection.close()

    def _answer(self, header: Header) -> None:
        body = self._connection.receive(header.body)
        self._connection.discard(header.error)
        if header.kind != "RODS_API_REQ":
            raise ConnectionLost(f"a message of kind {header.kind} was not expected")
        try:
            self._faults.before(header.info)
            reply = self._call(header, unpack(body))
        except CallError as refused:
            reply = Reply(status=refused.status, error=pack_error(refused.message, refused.status))
        if reply is not None:
            self._connection.send("RODS_API_REPLY", reply.status, reply.body, reply.error)

    def _call(self, header: Header, body: Element) -> Reply | None:
        if header.info == Api.WRITE and self.identity is not None:
            return write(self, self._connection, self._faults, header.stream, body)
        if header.info == Api.PUT and self.identity is not None:
            content = receive(self._connection, self._faults, header.stream)
            self.store.database.require(self._run, header.info, body)
            special_collections.follow_links(self, body)
            return put(self, self._faults, content, body)
        self._connection.discard(header.stream)
        if header.info in BEFORE_LOGIN:
            if not self.store.database.is_running:
                raise ConnectionLost("an agent ends that has no database")
            self._run = self.store.database.run
            return self._own[header.info](body)
        self.who  # noqa: B018 - raises unless the connection has proved who it is
        if header.info == Api.CLOSE and self._run != self.store.database.run:
            return self._close_without_database(body)
        try:
            self.store.database.require(self._run, header.info, body)
        except CallError as refused:
            if header.info == Api.GENQUERY1:
                return Reply(status=refused.status, body=genquery1.NO_ANSWER)
            raise
        if header.info == Api.READ:
            return read(self, self._connection, self._faults, body)
        return self.store.catalogue.transactions.patiently(lambda: self._handle(header, body))

    def _handle(self, header: Header, body: Element) -> Reply:
        if header.info in self._own:
            return self._own[header.info](body)
        collection_paths.check_length(body)
        unaskable_names.refuse(self, header.info, body)
        if header.info in LISTING_HANDLERS:
            return LISTING_HANDLERS[header.info](self, body)
        if header.info not in HANDLERS:
            raise CallError(Status.UNKNOWN_CALL)
        special_collections.follow_links(self, body)
        handler = mounted_files.handler(self, header.info, body) or HANDLERS[header.info]
        return handler(self, body)

    def _close_without_database(self, body: Element) -> Reply:
        inx = number(body, "l1descInx")
        finalizes = self.descriptors.get(inx).finalizes
        closing.abandon(self, inx)
        if finalizes:
            raise CallError(Status.NO_PERMISSION)
        return Reply()

    def _challenge(self, _: Element) -> Reply:
        challenge = authentication.new_challenge(self._login)
        packed = base64.b64encode(challenge.encode()).decode()
        return Reply(body=pack("authRequestOut_PI", challenge=packed))

    def _respond(self, body: Element) -> Reply:
        authentication.check(self.store, self._login, base64.b64decode(text(body, "response")))
        self._identify()
        return Reply()

    def _authenticate(self, body: Element) -> Reply:
        if self._faults.version < (4, 3, 0):
            raise CallError(Status.UNKNOWN_CALL)
        answer = authentication.converse(
            self.store, self._login, unpack_json(body), encrypted=self._connection.encrypted
        )
        if self._login.done:
            self._identify()
        return Reply(body=pack_json(answer))

    def _plugin(self, body: Element) -> Reply:
        pairs = authentication.context(text(body, "context_"))
        token = self._token(pairs["a_user"], pairs["a_pw"], pairs.get("a_ttl", ""))
        return Reply(body=pack("authPlugReqOut_PI", result_=token))

    def _pam(self, body: Element) -> Reply:
        token = self._token(
            text(body, "pamUser"), text(body, "pamPassword"), text(body, "timeToLive")
        )
        return Reply(body=pack("pamAuthRequestOut_PI", irodsPamPassword=token))

    def _token(self, user: str, password: str, hours: str) -> str:
        return authentication.pam_token(self.store, user, password, int(hours or 0))

    def _identify(self) -> None:
        greeting: StartupPack = self._startup_pack
        with self.store.catalogue.change() as db:
            row = db.execute(
                "SELECT * FROM users WHERE name = ? AND zone = ? AND type != 'rodsgroup'",
                (greeting.client_user, greeting.client_zone or self.store.zone),
            ).fetchone()
            proxy = db.execute(
                "SELECT type FROM users WHERE name = ?", (greeting.proxy_user,)
            ).fetchone()
        if greeting.client_user != greeting.proxy_user and proxy["type"] != "rodsadmin":
            raise CallError(Status.NO_PROXY_PRIVILEGE)
        if row is None:
            raise CallError(Status.INVALID_CLIENT_USER)
        self.identity = Identity(
            user_id=row["id"],
            name=row["name"],
            zone=row["zone"],
            admin=row["type"] == "rodsadmin",
            host=self._connection.peer,
        )

    def _query1(self, body: Element) -> Reply:
        try:
            status, packed = genquery1.answer(self._statements, self.who, body)
        except CallError as refused:
            # A server that fails sends an answer without rows.
            return Reply(status=refused.status, body=genquery1.NO_ANSWER)
        return Reply(status=status, body=packed)

    def _query2(self, body: Element) -> Reply:
        if not self._faults.genquery2 or self._faults.version < (4, 3, 2):
            raise CallError(Status.UNKNOWN_CALL)
        if text(body, "zone") != self.store.zone:
            raise CallError(Status.INVALID_ZONE)
        if number(body, "column_mappings"):
            return Reply(body=pack_text(column_mappings()))
        query = text(body, "query_string")
        if number(body, "sql_only"):
            return Reply(body=pack_text(genquery2.translate(query, self.who)[0]))
        return Reply(body=pack_text(genquery2.answer(self._statements.run, self.who, query)))

    def _ticket(self, body: Element) -> Reply:
        if text(body, "arg1") == "session":
            self.identity = dataclasses.replace(self.who, ticket=text(body, "arg2"), counted={})
            return Reply()
        with self.store.catalogue.change() as db:
            tickets.administer(db, self.who, body, self.store.catalogue.new_id())
        return Reply()

    def _access(self, body: Element) -> Reply:
        with self.store.catalogue.change() as db:
            permissions.modify(db, self.who, body)
        return Reply()
