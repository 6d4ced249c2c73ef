"""A `dockerd` of our own in the cache folder, shared by who needs it at the same time.

It never touches another engine: own data, own socket, own bridge, and its own firewall rules
instead of `dockerd`'s, which would set the machine's FORWARD policy.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from dev.bridge import Bridge
from dev.console import SetupError, say, tail
from dev.debian import find_program, install, is_debian_root
from dev.engine_api import Endpoint, EngineAnswerError, answers, ask
from dev.processes import pids_with_argument

START_SECONDS = 60.0
STOP_SECONDS = 20.0
# The kernel takes 107 bytes for a socket's path; containerd adds this much below the folder.
LONGEST_RUN_FOLDER = 107 - len("/exec/containerd/containerd.sock.ttrpc")

NO_ENGINE = """\
No Docker Engine answers, and a private one is started only as root on Debian. Do one of these:
  - start Docker (Docker Desktop, or `systemctl start docker`) and check it with `docker ps`;
  - set DOCKER_HOST to an engine that you may use;
  - as root on Debian, run this again: it installs docker.io and starts a private engine."""


class PrivateEngine:
    """One private engine per cache folder.

    Two files are locked: `lock` by whoever starts or stops it, `users` (shared) by everyone who
    uses it. Who leaves last, seen by `users` being free, stops it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        digest = hashlib.sha256(str(folder).encode()).hexdigest()
        run = folder / "run"
        too_long = len(os.fsencode(run)) > LONGEST_RUN_FOLDER
        self.run = Path("/run") / f"nds-{digest[:8]}" if too_long else run
        self.log = folder / "dockerd.log"
        self.pidfile = self.run / "docker.pid"
        self.endpoint = Endpoint(f"unix://{self.run}/docker.sock")
        self.bridge = Bridge(f"nds-{digest[:8]}", int(digest[:2], 16))
        self._users: IO[str] | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def acquire(self) -> Endpoint:
        """Start the engine, or join who uses it already; installs what it needs."""
        if not is_debian_root():
            raise SetupError(NO_ENGINE)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._locked("Another command is starting or stopping the private engine; waiting"):
            self._users = (self.folder / "users").open("w")
            fcntl.flock(self._users, fcntl.LOCK_SH)
            try:
                if answers(self.endpoint):
                    say(f"Using the private Docker Engine at {self.endpoint.url}")
                else:
                    self._start()
            except BaseException:
                self._leave()
                raise
        return self.endpoint

    def release(self) -> None:
        """Leave the engine; the last one stops it, with its containers."""
        with self._locked("Another command is starting or stopping the private engine; waiting"):
            self._leave()

    def _leave(self) -> None:
        if self._users is not None:
            self._users.close()
        with (self.folder / "users").open("w") as users:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            say("Stopping the private Docker Engine …")
            self._kill_containers()
            self._end_processes()

    def _locked(self, message: str) -> IO[str]:
        lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{message} …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        return lock

    def _start(self) -> None:
        _install_missing(self.folder)
        self._end_processes()
        daemon = find_program("dockerd")
        if daemon is None:
            raise SetupError("docker.io is installed, but there is no dockerd on the PATH.")
        say(f"Starting a private Docker Engine in {self.folder} …")
        self.bridge.make()
        command = [
            daemon,
            *("--config-file", str(self._config_file())),
            *("--data-root", str(self.folder / "data")),
            *("--exec-root", str(self.run / "exec")),
            *("--pidfile", str(self.pidfile)),
            *("--host", self.endpoint.url),
            *("--bridge", self.bridge.name),
            "--iptables=false",
            "--ip6tables=false",
            *("--shutdown-timeout", "5"),
        ]
        with self.log.open("wb") as log:
            self._child = child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        began = time.monotonic()
        _wait(
            lambda: child.poll() is not None or answers(self.endpoint),
            START_SECONDS,
            "  … still starting",
        )
        if child.poll() is not None or not answers(self.endpoint):
            raise SetupError(
                f"The private Docker Engine did not start. The end of {self.log}:\n"
                f"{tail(self.log)}\n"
                "Inside a container it needs --privileged; or set DOCKER_HOST to another engine."
            )
        say(f"  it answers after {time.monotonic() - began:.1f} s")

    def _config_file(self) -> Path:
        # An own file, so that /etc/docker/daemon.json is not read.
        path = self.folder / "daemon.json"
        path.write_text(json.dumps({}))
        return path

    def _kill_containers(self) -> None:
        with suppress(OSError, EngineAnswerError, ValueError):
            running = json.loads(ask(self.endpoint, "GET", "/containers/json"))
            for container in running:
                with suppress(EngineAnswerError):
                    ask(self.endpoint, "POST", f"/containers/{container['Id']}/kill")

    def _end_processes(self) -> None:
        """End the daemon, then what a killed daemon may have left behind."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self._daemon_pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            _wait(lambda: not self._daemon_pids(), STOP_SECONDS, "  … still stopping")
        if self._child is not None:
            self._child.wait(timeout=STOP_SECONDS)
        for pid in self._left_over_pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _wait(lambda: not self._left_over_pids(), STOP_SECONDS, "  … still stopping")
        self._unmount()
        self.bridge.remove()
        for name in ("docker.sock", "docker.pid"):
            (self.run / name).unlink(missing_ok=True)
        shutil.rmtree(self.run / "exec", ignore_errors=True)

    def _daemon_pids(self) -> list[int]:
        return pids_with_argument(str(self.pidfile))

    def _left_over_pids(self) -> list[int]:
        containerd = self.run / "exec" / "containerd"
        return pids_with_argument(str(containerd / "containerd.toml")) + pids_with_argument(
            str(containerd / "containerd.sock")
        )

    def _unmount(self) -> None:
        ours = (f"{self.folder}/", f"{self.run}/")
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        umount = find_program("umount")
        for point in sorted((p for p in mounted if p.startswith(ours)), reverse=True):
            if umount is not None:
                subprocess.run([umount, "-l", point], check=False, capture_output=True)


def _install_missing(folder: Path) -> None:
    needed = {"dockerd": "docker.io", "iptables": "iptables", "ip": "iproute2"}
    missing = [package for program, package in needed.items() if find_program(program) is None]
    if not missing:
        return
    apparmor = Path("/sys/module/apparmor/parameters/enabled")
    if apparmor.exists() and apparmor.read_text().startswith("Y"):
        missing.append("apparmor")
    install([*missing, "ca-certificates"], folder)


def _wait(done: Callable[[], bool], seconds: float, message: str) -> None:
    deadline = time.monotonic() + seconds
    spoken = time.monotonic()
    while not done() and time.monotonic() < deadline:
        if time.monotonic() - spoken > 5:
            say(message)
            spoken = time.monotonic()
        time.sleep(0.1)
