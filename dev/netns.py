"""Network namespaces on a bridge of their own: several machines, as far as a network can tell.

They have no way outside: a look-up of a registry fails at once instead of after 20 seconds.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from dev.console import SetupError
from dev.debian import find_program

NAMESPACES = Path("/run/netns")


class Lan:
    """A bridge and the namespaces on it. `name` is at most 12 characters and unique on the machine.

    Parameters
    ----------
    number
        Third part of its subnet, 10.214.N.0/24.
    """

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number

    @property
    def gateway(self) -> str:
        """The machine's own address on the bridge."""
        return f"10.214.{self.number}.1"

    def address(self, node: int) -> str:
        """Return the address of a node."""
        return f"10.214.{self.number}.{10 + node}"

    def namespace(self, node: int) -> Path:
        """Return the file that stands for a node's network."""
        return NAMESPACES / f"{self.name}-{node}"

    def make(self, nodes: int) -> None:
        """Make the bridge and a namespace for each node."""
        _ip("link", "add", "name", self.name, "type", "bridge")
        _ip("addr", "add", f"{self.gateway}/24", "dev", self.name)
        _ip("link", "set", self.name, "up")
        # A Docker Engine on the machine may have set the policy of FORWARD to DROP.
        _run("iptables", "-w", "-I", *self._rule)
        for node in range(1, nodes + 1):
            self._add(node)

    def _add(self, node: int) -> None:
        name = link = f"{self.name}-{node}"
        _ip("netns", "add", name)
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", link, "master", self.name, "up")
        inside = ("-n", name)
        _ip(*inside, "link", "set", "lo", "up")
        _ip(*inside, "addr", "add", f"{self.address(node)}/24", "dev", "eth0")
        _ip(*inside, "link", "set", "eth0", "up")

    def unplug(self, node: int) -> None:
        """Cut a node's cable."""
        _ip("link", "set", f"{self.name}-{node}", "down")

    def plug(self, node: int) -> None:
        """Connect it again."""
        _ip("link", "set", f"{self.name}-{node}", "up")

    def remove(self) -> None:
        """Remove whatever is there of it; processes in its namespaces must have ended."""
        for path in sorted(NAMESPACES.glob(f"{self.name}-*")):
            _run("ip", "netns", "delete", path.name)
        while _run("iptables", "-w", "-D", *self._rule).returncode == 0:
            pass
        if (Path("/sys/class/net") / self.name).exists():
            _run("ip", "link", "delete", self.name)

    @property
    def _rule(self) -> tuple[str, ...]:
        return ("FORWARD", "-i", self.name, "-o", self.name, "-j", "ACCEPT")


def free_number(first: int) -> int:
    """Return a number from `first` on whose subnet no interface of this machine has."""
    taken = _run("ip", "-4", "-o", "addr").stdout
    for step in range(256):
        number = (first + step) % 256
        if f" 10.214.{number}." not in taken:
            return number
    raise SetupError("Every subnet of 10.214.0.0/16 is in use on this machine.")


def _ip(*arguments: str) -> None:
    done = _run("ip", *arguments)
    if done.returncode != 0:
        raise SetupError(
            f"ip {' '.join(arguments)} failed: {done.stderr.strip()}. "
            "Networks of their own need root, and inside a container --privileged."
        )


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = find_program(program) or program
    return subprocess.run(
        [path, *arguments], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
