"""Measure on whatever engine there is: `make bench`, or `make bench ARGS="--only jobs"`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator

from benchmarks import (
    browser_panels,
    data,
    events,
    jobs,
    latency,
    lists,
    loading,
    magic,
    streams,
    sweeps,
    zone,
)
from benchmarks.bench import Bench
from benchmarks.report import Figure, table
from dev.console import SetupError, say
from dev.debian import find_program, install
from dev.engine import cache_folder, engine
from dev.engine_api import Endpoint
from dev.images import PYTHON_IMAGE, SHELL_IMAGE, ensure_images
from dev.interrupts import one_interrupt
from dev.jupyter import jupyter_server, temporary_folder

MEASUREMENTS: dict[str, tuple[Callable[[Bench], Iterator[Figure]], int]] = {
    "jobs": (jobs.one_after_another, 4),
    "many": (jobs.many_at_once, 4),
    "submit": (jobs.submission, 4),
    "sweep": (sweeps.thousand_points, 4),
    "log": (streams.log_rate, 4),
    "results": (streams.result_rate, 4),
    "containers": (lists.thousand_containers, 4),
    "events": (events.page, 4),
    "latency": (latency.while_streaming, latency.TALKERS + 1),
    "loading": (loading.extensions, 4),
    "magic": (magic.cells, 4),
    "listing": (zone.listing, 4),
    "staging": (data.large_object, 4),
    "small": (data.many_objects, 4),
    "objects": (zone.small_objects, 4),
    "trees": (zone.trees, 4),
    "transfers": (zone.transfers, 4),
}
"""By name: what measures it, and how many jobs its server runs at a time."""


PANELS = "panels"
"""All that is measured in a browser."""


def measure(name: str, endpoint: Endpoint, options: argparse.Namespace) -> list[Figure]:
    """Carry out one measurement on a server of its own."""
    if name in browser_panels.PARTS:
        return browser_panels.measure(name, endpoint, options.repeats, options.scale)
    measurement, at_once = MEASUREMENTS[name]
    arguments = [f"--NdsApp.max_running={at_once}", "--NdsApp.default_cpus=2"]
    with (
        temporary_folder(cache_folder()) as folder,
        jupyter_server(endpoint, SHELL_IMAGE, folder, arguments) as server,
    ):
        bench = Bench(
            server=server, endpoint=endpoint, repeats=options.repeats, scale=options.scale
        )
        return list(measurement(bench))


def named(chosen: Iterable[str]) -> Iterator[str]:
    """Give the measurements that names stand for."""
    for name in chosen:
        yield from browser_panels.PARTS if name == PANELS else (name,)


def main(words: list[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [*MEASUREMENTS, *browser_panels.PARTS]
    parser.add_argument("--only", choices=[*names, PANELS], action="append", help="repeatable")
    parser.add_argument("--repeats", type=int, default=5, help="pairs measured (default 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="1 for the goals' sizes")
    options = parser.parse_args(words)
    figures: list[Figure] = []
    with one_interrupt(), engine() as endpoint:
        if find_program("curl") is None:
            install(["curl"], cache_folder())
        ensure_images(endpoint, PYTHON_IMAGE, SHELL_IMAGE)
        for name in named(options.only or names):
            say(f"Measuring {name} …")
            figures += measure(name, endpoint, options)
            say(table(figures[-2:]))
    print(f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}\n")
    print(table(figures))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SetupError as error:
        say(f"\n{error}")
        sys.exit(1)
    except KeyboardInterrupt:
        say("\nInterrupted; nothing is left running.")
        sys.exit(130)
