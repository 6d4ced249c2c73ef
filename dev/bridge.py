"""The private engine's own network bridge, with rules that are removed with it.

`dockerd` would share `docker0` with another engine and set the machine's FORWARD policy to DROP.
"""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

from dev.console import SetupError, say
from dev.debian import find_program

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


class Bridge:
    """A bridge with a subnet of its own, from which containers reach the outside."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self._address = f"10.213.{number}.1/24"
        self._subnet = f"10.213.{number}.0/24"

    def make(self) -> None:
        """Make the bridge; without the firewall rules, containers have no way outside."""
        for arguments in (
            ("link", "add", "name", self.name, "type", "bridge"),
            ("addr", "add", self._address, "dev", self.name),
            ("link", "set", self.name, "up"),
        ):
            done = _run("ip", *arguments)
            if done.returncode != 0:
                raise SetupError(
                    f"The network bridge {self.name} could not be made: {done.stderr.strip()}. "
                    "Inside a container this needs --privileged; or set DOCKER_HOST to an engine."
                )
        refused = [rule for rule in self._rules() if _rule("-I", rule).returncode != 0]
        if refused:
            say("  (no firewall rules could be set: containers will not reach the network)")
        with suppress(OSError):
            FORWARDING.write_text("1")

    def remove(self) -> None:
        """Remove the bridge and its rules, as many of them as are there."""
        if not (Path("/sys/class/net") / self.name).exists():
            return
        for rule in self._rules():
            while _rule("-D", rule).returncode == 0:
                pass
        _run("ip", "link", "delete", self.name)

    def _rules(self) -> tuple[tuple[str, ...], ...]:
        outwards = ("-s", self._subnet, "!", "-o", self.name)
        return (
            ("nat", "POSTROUTING", *outwards, "-j", "MASQUERADE"),
            ("filter", "FORWARD", "-i", self.name, "-j", "ACCEPT"),
            ("filter", "FORWARD", "-o", self.name, "-m", "conntrack",
             "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"),
        )  # fmt: skip


def _rule(action: str, rule: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    table, chain, *match = rule
    return _run("iptables", "-w", "-t", table, action, chain, *match)


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = find_program(program) or program
    return subprocess.run(
        [path, *arguments], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
