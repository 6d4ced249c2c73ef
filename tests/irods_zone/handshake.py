"""Handshake of a connection: startup pack, negotiation of TLS, the server's version."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from tests.irods_zone.connection import ConnectionLost, MessageConnection
from tests.irods_zone.packing import pack, text, unpack
from tests.irods_zone.tls import NEGOTIATION, POLICY, Certificates

REFUSE = "CS_NEG_REFUSE"
COOKIE = 400


@dataclass(frozen=True, kw_only=True)
class StartupPack:
    """Names that the client sent in its startup pack."""

    proxy_user: str
    client_user: str
    client_zone: str


def handshake(
    connection: MessageConnection,
    version: tuple[int, int, int],
    tls: Certificates | None,
    *,
    status: int = 0,
) -> StartupPack:
    """Exchange the first messages of a connection; a server with certificates insists on TLS."""
    header = connection.receive_header()
    if header.kind != "RODS_CONNECT":
        raise ConnectionLost("the first message was no startup pack")
    body = unpack(connection.receive(header.body))
    encrypts = NEGOTIATION in text(body, "option") and _negotiate(connection, tls)
    if tls is not None and not encrypts:
        raise ConnectionLost("the client did not ask for TLS, which the server requires")
    release = ".".join(map(str, version))
    connection.send(
        "RODS_VERSION",
        0,
        pack(
            "Version_PI",
            status=int(status),
            relVersion=f"rods{release}",
            apiVersion="d",
            reconnPort=0,
            reconnAddr="",
            cookie=COOKIE,
        ),
    )
    if encrypts and tls is not None:
        _encrypt(connection, tls.context)
    return StartupPack(
        proxy_user=text(body, "proxyUser"),
        client_user=text(body, "clientUser"),
        client_zone=text(body, "clientRcatZone"),
    )


def _negotiate(connection: MessageConnection, tls: Certificates | None) -> bool:
    offered = POLICY if tls is not None else REFUSE
    connection.send("RODS_CS_NEG_T", 0, pack("CS_NEG_PI", status=1, result=offered))
    header = connection.receive_header()
    answer = text(unpack(connection.receive(header.body)), "result")
    return "CS_NEG_USE_SSL" in answer


def _encrypt(connection: MessageConnection, tls: ssl.SSLContext) -> None:
    connection.start_tls(tls)
    connection.receive_header()  # How the client would encrypt parallel transfers of the old kind.
    secret = connection.receive_header()
    connection.receive(secret.body)
