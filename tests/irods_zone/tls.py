"""Certificates for a zone that speaks TLS."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import trustme

POLICY = "CS_NEG_REQUIRE"
NEGOTIATION = "request_server_negotiation"


class Certificates:
    """An authority, a server's certificate from it, and what clients write of both."""

    def __init__(self, folder: Path, host: str) -> None:
        self.authority_file = folder / "authority.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.authority_file)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host).configure_cert(self.context)

    def environment(self) -> dict[str, object]:
        """Give what `irods_environment.json` says of TLS."""
        return {
            "irods_client_server_negotiation": NEGOTIATION,
            "irods_client_server_policy": POLICY,
            "irods_encryption_algorithm": "AES-256-CBC",
            "irods_encryption_key_size": 32,
            "irods_encryption_num_hash_rounds": 16,
            "irods_encryption_salt_size": 8,
            "irods_ssl_verify_server": "hostname",
            "irods_ssl_ca_certificate_file": os.fspath(self.authority_file),
        }
