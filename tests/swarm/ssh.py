"""A real `sshd` on a node, with keys of its own, and an `ssh` that knows what a test gives it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.console import tail
from dev.debian import find_program, install
from dev.engine import cache_folder
from dev.processes import wait_until
from dev.swarm_node import SwarmNode

PORT = 2222
START_SECONDS = 30.0
SEPARATION = Path("/run/sshd")
"""The folder without which Debian's sshd does not start; its service would make it."""


class SshServer:
    """A node's `sshd`, which leads to that node's engine."""

    def __init__(self, node: SwarmNode, folder: Path, authorized: Path) -> None:
        self.node = node
        self.url = f"ssh://root@{node.address}:{PORT}"
        self.host_key = make_key(folder / f"host-{node.name}")
        self._authorized = authorized
        self._config = folder / f"sshd-{node.name}"
        self._log = folder / f"sshd-{node.name}.log"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it while the block runs."""
        SEPARATION.mkdir(mode=0o755, exist_ok=True)
        self._config.write_text(self._settings())
        net = self.node.lan.namespace(self.node.number)
        command = [
            # It ends with who runs the tests, however that ends.
            *(program("setpriv"), "--pdeathsig", "KILL"),
            *(program("nsenter"), f"--net={net}"),
            *(program("sshd"), "-D", "-e", "-f", str(self._config)),
        ]
        with self._log.open("wb") as log:
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        try:
            assert wait_until(self._greets, START_SECONDS), tail(self._log)
            yield
        finally:
            server.kill()
            server.wait()

    def _settings(self) -> str:
        return "\n".join(
            (
                f"Port {PORT}",
                f"ListenAddress {self.node.address}",
                f"HostKey {self.host_key}",
                f"AuthorizedKeysFile {self._authorized}",
                "PermitRootLogin prohibit-password",
                "PasswordAuthentication no",
                "KbdInteractiveAuthentication no",
                "UsePAM no",
                "StrictModes no",
                "PidFile none",
                "MaxStartups 100",
                f"SetEnv DOCKER_HOST={self.node.endpoint.url}",
                "",
            )
        )

    def _greets(self) -> bool:
        try:
            with socket.create_connection((self.node.address, PORT), 1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def known_as(self, key: Path) -> str:
        """Return the line of `known_hosts` for this server with a host key."""
        kind, body, *_ = key.with_suffix(".pub").read_text().split()
        return f"[{self.node.address}]:{PORT} {kind} {body}\n"


class SshAccount:
    """What the `ssh` program finds: a key, and known hosts.

    The program does not ask HOME where its files are, so one that stands before it on the path adds
    the option that says so.
    """

    def __init__(self, folder: Path, key: Path) -> None:
        self.known_hosts = folder / "known_hosts"
        self._config = folder / "config"
        self._key = folder / "key"
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        self.take_key(key)
        self._config.write_text(
            f"IdentityFile {self._key}\nIdentitiesOnly yes\nIdentityAgent none\n"
            f"UserKnownHostsFile {self.known_hosts}\nGlobalKnownHostsFile /dev/null\n"
        )
        wrapper = self.bin / "ssh"
        wrapper.write_text(f'#!/bin/sh\nexec {program("ssh")} -F {self._config} "$@"\n')
        wrapper.chmod(0o755)

    def take_key(self, key: Path) -> None:
        """Log in by this key from now on."""
        shutil.copy(key, self._key)
        self._key.chmod(0o600)

    @property
    def path(self) -> str:
        """The PATH on which its `ssh` comes first."""
        return f"{self.bin}{os.pathsep}{os.environ['PATH']}"


def make_key(path: Path) -> Path:
    """Make a key pair without a passphrase, and return the private one's file."""
    subprocess.run(
        [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "nds test", "-f", path],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return path


def program(name: str) -> str:
    """Return a program's path; Debian's OpenSSH is installed if it is not there."""
    if find_program(name) is None:
        install(["openssh-server", "openssh-client", "util-linux"], cache_folder())
    found = find_program(name)
    assert found is not None, name
    return found
