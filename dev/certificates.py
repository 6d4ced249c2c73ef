"""A certificate authority for tests, as Docker's documentation makes one for `--tlsverify`."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from dev.console import SetupError
from dev.debian import find_program, install

DAYS = "2"


def make_certificates(folder: Path, addresses: Sequence[str]) -> tuple[Path, Path]:
    """Make a server's and a client's folder with `ca.pem`, `cert.pem` and `key.pem`.

    Parameters
    ----------
    addresses
        IP addresses that the server's certificate is good for.
    """
    if find_program("openssl") is None:
        install(["openssl"], folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _openssl(
        *("req", "-x509", "-nodes", "-days", DAYS, "-subj", "/CN=nds test authority"),
        *_new_key(folder / "ca-key.pem", folder / "ca.pem"),
    )
    names = ",".join(f"IP:{address}" for address in addresses)
    server = _sign(folder, "server", f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n")
    client = _sign(folder, "client", "extendedKeyUsage=clientAuth\n")
    return server, client


def _sign(authority: Path, name: str, extensions: str) -> Path:
    folder = authority / name
    folder.mkdir(mode=0o700)
    request, wanted = folder / "request.pem", folder / "extensions"
    wanted.write_text(extensions)
    _openssl(
        *("req", "-nodes", "-subj", f"/CN=nds test {name}"),
        *_new_key(folder / "key.pem", request),
    )
    _openssl(
        *("x509", "-req", "-days", DAYS, "-in", str(request), "-out", str(folder / "cert.pem")),
        *("-CA", str(authority / "ca.pem"), "-CAkey", str(authority / "ca-key.pem")),
        *("-CAcreateserial", "-extfile", str(wanted)),
    )
    (folder / "ca.pem").write_bytes((authority / "ca.pem").read_bytes())
    return folder


def _new_key(key: Path, out: Path) -> tuple[str, ...]:
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    return (*curve, "-keyout", str(key), "-out", str(out))


def _openssl(*arguments: str) -> None:
    done = subprocess.run(
        [find_program("openssl") or "openssl", *arguments],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise SetupError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
