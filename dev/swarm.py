"""A real Docker Swarm of several nodes on one machine, for tests, benchmarks and trying out.

It touches no other engine: networks, folders and processes of its own, all named after the run. A
keeper process outlives whoever made the Swarm, a killed one too, and removes it then. From a shell,
with `DOCKER_HOST` leading to the manager and `NDS_SWARM` naming every node's endpoint::

    python dev/swarm.py run -- COMMAND…
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from dev.certificates import make_certificates
from dev.console import SetupError, say
from dev.debian import find_program, install, is_debian_root
from dev.engine import cache_folder, run_forwarding_signals
from dev.images import SHELL_IMAGE, ensure_images
from dev.interrupts import exit_code, no_interrupts
from dev.netns import Lan, free_number
from dev.swarm_node import SwarmNode

NEEDED = {
    "dockerd": "docker.io",
    "iptables": "iptables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "openssl": "openssl",
}
HEARTBEAT = 2
"""Seconds between a node's signs of life; after three that are missing it counts as down."""


@dataclass(frozen=True)
class Swarm:
    """The nodes; the first one made the Swarm, and leads until it is away."""

    nodes: tuple[SwarmNode, ...]

    @property
    def manager(self) -> SwarmNode:
        """The node that leads."""
        return self.nodes[0]

    @property
    def endpoints(self) -> list[str]:
        """The nodes' sockets, which need no certificates."""
        return [node.endpoint.url for node in self.nodes]


class Place:
    """Names and folders of one run, known from its id alone, so that anyone can clean up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name
        self.run = Path("/run") / f"nds-{self.id}"
        self._facts = folder / "facts.json"

    def lan(self) -> Lan:
        """Return its network; a number is chosen and written down at the first call."""
        if self._facts.exists():
            number = int(json.loads(self._facts.read_text())["number"])
        else:
            number = free_number(int(self.id[:2], 16))
            self._facts.write_text(json.dumps({"number": number}))
        return Lan(f"nds-{self.id}", number)

    def nodes(self, count: int, certificates: tuple[Path, Path]) -> tuple[SwarmNode, ...]:
        """Return its nodes; nothing is started."""
        lan = self.lan()
        return tuple(
            SwarmNode(lan, number, self.folder, self.run, certificates)
            for number in range(1, count + 1)
        )

    def remove(self) -> None:
        """Remove everything of it that is there."""
        lan = self.lan()
        nowhere = (self.folder, self.folder)
        for number in sorted(int(path.name) for path in self.run.glob("[0-9]*")):
            SwarmNode(lan, number, self.folder, self.run, nowhere).remove()
        lan.remove()
        for folder in (self.run, self.folder):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def swarm(
    nodes: int = 3, images: Sequence[str] = (SHELL_IMAGE,), *, managers: int = 1
) -> Iterator[Swarm]:
    """Give a Swarm of so many nodes that all have the images.

    Parameters
    ----------
    managers
        How many of the nodes, from the first one on, are managers.

    Raises
    ------
    SetupError
        It can't be made here; says what to do.
    """
    if not is_debian_root():
        raise SetupError("A Swarm of several nodes on one machine is made only as root on Debian.")
    missing = [package for program, package in NEEDED.items() if find_program(program) is None]
    if missing:
        install([*missing, "ca-certificates"], cache_folder())
    made: list[SwarmNode] = []
    try:
        with ExitStack() as stack:
            with _one_at_a_time():
                place = _new_place()
                stack.enter_context(_kept(place))
                place.lan().make(nodes)
            yield _make(place, nodes, images, made, managers)
    finally:
        for node in made:
            node.reap()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Let no other process take a new Swarm for an abandoned one, nor the same subnet."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "swarm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _new_place() -> Place:
    base = cache_folder() / "swarm"
    base.mkdir(parents=True, exist_ok=True)
    remove_abandoned(base)
    place = Place(base / secrets.token_hex(3))
    place.folder.mkdir(mode=0o700)
    return place


def remove_abandoned(base: Path) -> None:
    """Remove what runs left whose keeper was killed, too."""
    for folder in base.iterdir():
        with (folder / "keeper.lock").open("w") as lock, suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            say(f"Removing the Swarm {folder.name}, which a killed command left …")
            Place(folder).remove()


@contextmanager
def _kept(place: Place) -> Iterator[None]:
    """Have a process beside us that removes everything when the pipe from us is closed."""
    command = [sys.executable, str(Path(__file__).resolve()), "keep", str(place.folder)]
    keeper = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    ready, end = keeper.stdout, keeper.stdin
    if ready is None or end is None or not ready.readline():
        raise SetupError("The process that cleans up after the Swarm did not start.")
    try:
        yield
    finally:
        with no_interrupts():
            ready.close()
            end.close()
            keeper.wait()


def keep(folder: Path, until_closed: IO[bytes]) -> None:
    """Wait until the maker of a Swarm has ended, then remove the Swarm."""
    with (folder / "keeper.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(OSError):
            os.write(1, b"ready\n")
        until_closed.read()
        Place(folder).remove()


def _make(
    place: Place, count: int, images: Sequence[str], made: list[SwarmNode], managers: int
) -> Swarm:
    say(f"Making a Swarm of {count} nodes …")
    lan = place.lan()
    addresses = [lan.address(number) for number in range(1, count + 1)]
    nodes = place.nodes(count, make_certificates(place.folder / "tls", addresses))
    made += nodes
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(lambda node: _start(node, images), nodes))
    _join(nodes, managers)
    return Swarm(nodes)


def _start(node: SwarmNode, images: Sequence[str]) -> None:
    node.start()
    ensure_images(node.endpoint, *images)


def _join(nodes: Sequence[SwarmNode], managers: int) -> None:
    import docker

    first = nodes[0]
    manager = docker.APIClient(first.endpoint.url, timeout=60)
    spec = manager.create_swarm_spec(dispatcher_heartbeat_period=HEARTBEAT * 10**9)
    manager.init_swarm(advertise_addr=first.address, listen_addr=first.address, swarm_spec=spec)
    tokens = manager.inspect_swarm()["JoinTokens"]
    for node in nodes[1:]:
        token = tokens["Manager" if node.number <= managers else "Worker"]
        client = docker.APIClient(node.endpoint.url, timeout=60)
        client.join_swarm([f"{first.address}:2377"], token, node.address, node.address)
        client.close()
    manager.close()


def run_with_swarm(command: Sequence[str]) -> int:
    """Run a command with a Swarm, and return its exit code."""
    with swarm() as made:
        endpoints = json.dumps(made.endpoints)
        env = {**os.environ, **made.manager.endpoint.environment, "NDS_SWARM": endpoints}
        return run_forwarding_signals(command, env)


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    if len(arguments) == 2 and arguments[0] == "keep":
        keep(Path(arguments[1]), sys.stdin.buffer)
        return 0
    if len(arguments) >= 3 and arguments[0] == "run" and arguments[1] == "--":
        return exit_code(lambda: run_with_swarm(arguments[2:]))
    say("usage: python dev/swarm.py run -- COMMAND…")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
