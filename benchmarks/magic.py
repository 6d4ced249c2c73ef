"""A cell of a notebook against the Docker command line in the same notebook."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Bench, alternate, seconds
from benchmarks.report import Figure, median
from dev.images import SHELL_IMAGE
from tests.magics.notebook import Notebook, open_notebook

OURS = f"%%ndsjob --image {SHELL_IMAGE} --scriptname tiny.sh\necho hello"
THEIRS = f"!docker run --rm {SHELL_IMAGE} sh -c 'echo hello'"
LOAD = "%load_ext nds_jupyter"
NOTHING = "pass"


def run(notebook: Notebook, cell: str) -> None:
    """Run a cell from its start to its end; it must say hello."""
    done = notebook.run(cell).must_succeed()
    if "hello" not in done.stdout.splitlines():
        raise SystemExit(f"The cell that was measured failed: {done.log}")


def cells(bench: Bench) -> Iterator[Figure]:
    """Time cells in a real kernel, as a front end sees them."""
    with open_notebook(bench.server) as notebook:
        mine, theirs = alternate(
            lambda: run(notebook, OURS), lambda: run(notebook, THEIRS), bench.repeats * 4
        )
    yield Figure(
        what="%%ndsjob of a tiny script, cell start to cell end",
        rival="!docker run --rm in the same notebook",
        ours=median(mine) * 1000,
        theirs=median(theirs) * 1000,
        unit="ms",
        at_most=1.25,
    )
    loads, nothings = [], []
    for _ in range(bench.repeats + 1):
        with open_notebook(bench.server, loaded=False) as fresh:
            fresh.run(NOTHING).must_succeed()
            nothings.append(seconds(lambda: fresh.run(NOTHING).must_succeed()))
            loads.append(seconds(lambda: fresh.run(LOAD).must_succeed()))
    # The first kernel reads everything from the disk.
    yield Figure(
        what="%load_ext nds_jupyter in a kernel",
        rival="a cell that does nothing",
        ours=median(loads[1:]) * 1000,
        theirs=median(nothings[1:]) * 1000,
        unit="ms",
        at_most=150.0,
        difference=True,
    )
