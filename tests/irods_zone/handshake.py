"""How a connection begins: who asks for what, whether under TLS, and the server's version."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from tests.irods_zone.packing import pack, text, unpack
from tests.irods_zone.tls import NEGOTIATION, POLICY, Certificates
from tests.irods_zone.wire import Gone, Wire

REFUSE = "CS_NEG_REFUSE"
COOKIE = 400


@dataclass(frozen=True, kw_only=True)
class Greeting:
    """What the client said of itself."""

    proxy_user: str
    client_user: str


def start(wire: Wire, version: tuple[int, int, int], tls: Certificates | None) -> Greeting:
    """Exchange the first messages of a connection; a server with certificates insists on TLS."""
    header = wire.receive_header()
    if header.kind != "RODS_CONNECT":
        raise Gone("the first message was no startup pack")
    body = unpack(wire.receive(header.body))
    encrypts = NEGOTIATION in text(body, "option") and _negotiate(wire, tls)
    if tls is not None and not encrypts:
        raise Gone("the client did not ask for TLS, which the server requires")
    release = ".".join(map(str, version))
    wire.send(
        "RODS_VERSION",
        0,
        pack(
            "Version_PI",
            status=0,
            relVersion=f"rods{release}",
            apiVersion="d",
            reconnPort=0,
            reconnAddr="",
            cookie=COOKIE,
        ),
    )
    if encrypts and tls is not None:
        _encrypt(wire, tls.context)
    return Greeting(proxy_user=text(body, "proxyUser"), client_user=text(body, "clientUser"))


def _negotiate(wire: Wire, tls: Certificates | None) -> bool:
    offered = POLICY if tls is not None else REFUSE
    wire.send("RODS_CS_NEG_T", 0, pack("CS_NEG_PI", status=1, result=offered))
    header = wire.receive_header()
    answer = text(unpack(wire.receive(header.body)), "result")
    return "CS_NEG_USE_SSL" in answer


def _encrypt(wire: Wire, tls: ssl.SSLContext) -> None:
    wire.start_tls(tls)
    wire.receive_header()  # How the client would encrypt parallel transfers of the old kind.
    secret = wire.receive_header()
    wire.receive(secret.body)
