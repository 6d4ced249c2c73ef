"""One node of a test Swarm: a `dockerd` in a network namespace, with a host name of its own."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.console import SetupError, tail
from dev.debian import find_program
from dev.engine_api import Endpoint, answers
from dev.netns import Lan
from dev.processes import is_stopped, pids_with_argument, send, wait_until, with_descendants

START_SECONDS = 90.0
TLS_PORT = 2376

# `ip netns exec` would remount /sys and hide the cgroups from dockerd. With mounts of its own,
# nothing stays mounted when the node's last process has ended.
ENTER = 'echo "$0" > /proc/sys/kernel/hostname && exec "$@"'


class SwarmNode:
    """A machine of the Swarm.

    Parameters
    ----------
    number
        From 1 on.
    folder, run
        Where its data lie, and its sockets (a short path: a socket's has 107 bytes at most).
    certificates
        Folders of the server's and of the client's certificates.
    """

    def __init__(
        self, lan: Lan, number: int, folder: Path, run: Path, certificates: tuple[Path, Path]
    ) -> None:
        self.number = number
        self.name = f"node{number}"
        self.lan = lan
        self.folder = folder / self.name
        self.run = run / str(number)
        self.pidfile = self.run / "docker.pid"
        self.log = self.folder / "dockerd.log"
        self.certificates = certificates
        self.address = lan.address(number)
        self.endpoint = Endpoint(f"unix://{self.run}/docker.sock")
        self._child: subprocess.Popen[bytes] | None = None
        self.tls_endpoint = Endpoint(f"tcp://{self.address}:{TLS_PORT}", str(certificates[1]))

    def start(self) -> None:
        """Start the engine, for the first time or again, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A killed process leaves its number, which another process or its zombie may have now.
        for stale in (self.pidfile, self.run / "exec" / "containerd" / "containerd.pid"):
            stale.unlink(missing_ok=True)
        self.reap()
        with self.log.open("ab") as log:
            self._child = child = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(lambda: child.poll() is not None or answers(self.endpoint), START_SECONDS)
        if child.poll() is not None or not answers(self.endpoint):
            raise SetupError(
                f"The engine of {self.name} did not start. The end of {self.log}:\n{tail(self.log)}"
            )

    def reap(self) -> None:
        """Take note of the end of an engine that this process started."""
        if self._child is not None:
            self._child.wait(timeout=START_SECONDS)
            self._child = None

    def _command(self) -> list[str]:
        config = self.folder / "daemon.json"
        config.write_text(json.dumps(self._settings()))
        return [
            *(find_program("nsenter") or "nsenter", f"--net={self.lan.namespace(self.number)}"),
            *(find_program("unshare") or "unshare", "--uts", "--mount"),
            *("sh", "-c", ENTER, self.name),
            find_program("dockerd") or "dockerd",
            *("--config-file", str(config)),
            *("--data-root", str(self.folder / "data")),
            *("--exec-root", str(self.run / "exec")),
            *("--pidfile", str(self.pidfile)),
            *("--host", self.endpoint.url, "--host", f"tcp://{self.address}:{TLS_PORT}"),
            *("--shutdown-timeout", "5"),
        ]

    def _settings(self) -> dict[str, object]:
        server = self.certificates[0]
        return {
            # What a service can't ask for (API 1.41 drops it in silence).
            "no-new-privileges": True,
            # A registry of a test, on the machine that all nodes are on, has no certificate.
            "insecure-registries": [f"{self.lan.gateway}/32"],
            "tlsverify": True,
            "tlscacert": str(server / "ca.pem"),
            "tlscert": str(server / "cert.pem"),
            "tlskey": str(server / "key.pem"),
            **({"node-generic-resources": ["gpu=first"]} if self.number == 3 else {}),
        }

    def stop(self) -> None:
        """Shut the engine down in good order, as a reboot does; its containers end."""
        pids = self._daemons()
        send(pids, signal.SIGTERM)
        if not wait_until(lambda: not self._daemons(), 30):
            self.kill()

    def kill(self) -> None:
        """Lose the machine: the engine and everything on it, at once."""
        send(self._everything(), signal.SIGKILL)
        wait_until(lambda: not self._everything())

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the engine hang while the block runs: it takes connections and never answers."""
        daemons = self._daemons()
        send(daemons, signal.SIGSTOP)
        # The signal is on its way when `kill` returns; the engine may still answer for a moment.
        wait_until(lambda: all(map(is_stopped, daemons)))
        try:
            yield
        finally:
            send(daemons, signal.SIGCONT)

    def remove(self) -> None:
        """End it, and remove its files."""
        self.kill()
        shutil.rmtree(self.run, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _daemons(self) -> list[int]:
        return pids_with_argument(str(self.pidfile))

    def _everything(self) -> list[int]:
        containerd = self.run / "exec" / "containerd"
        roots = [
            *self._daemons(),
            *pids_with_argument(str(containerd / "containerd.toml")),
            *pids_with_argument(str(containerd / "containerd.sock")),
        ]
        return with_descendants(roots)
