"""Images of the fake engine: lists, pulls and builds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime

from nds_jupyter.engines.base import Image, ImageSpec
from nds_jupyter.errors import EngineError, ImageNotFound
from nds_jupyter.jobs.job import Progress
from tests.engine.faults import Faults

SHELL = "nds/shell:test"
PYTHON = "nds/python:3.11"
_CREATED = datetime(2024, 1, 1, tzinfo=UTC)
_PROGRAMS = {
    SHELL: ("/bin/sh", "/bin/tail", "/etc/passwd"),
    PYTHON: ("/bin/sh", "/usr/bin/python3"),
}


class FakeImages:
    """Images of one fake engine, and the count of its open streams.

    Attributes
    ----------
    faults
        What is wrong with the engine.
    registry
        Images that can be pulled: the progress that a pull reports, by reference.
    builds
        Specifications of the builds, in order.
    hold_pulls
        Cleared, a pull or a build stops before its end.
    open_streams
        Number of logs, archives, stats and pulls that are read.
    """

    def __init__(self) -> None:
        self.faults = Faults(deadline=5.0)
        self.files = {name: dict.fromkeys(paths, b"\x7fELF") for name, paths in _PROGRAMS.items()}
        self.registry: dict[str, tuple[Progress, ...]] = {}
        self.can_build = True
        self.builds: list[ImageSpec] = []
        self.labels: dict[str, dict[str, str]] = {}
        self.hold_pulls = asyncio.Event()
        self.hold_pulls.set()
        self.open_streams = 0

    def is_used(self, reference: str) -> bool:
        """Tell whether a container is made of an image."""
        raise NotImplementedError

    @contextlib.contextmanager
    def stream(self) -> Iterator[None]:
        """Count a stream as long as it is read."""
        self.open_streams += 1
        try:
            yield
        finally:
            self.open_streams -= 1

    async def images(self) -> tuple[Image, ...]:
        """List the images."""
        async with self.faults.call("images"):
            return tuple(map(self.named_image, sorted(self.files)))

    def named_image(self, reference: str) -> Image:
        """Return an image that is there."""
        return Image(
            id=f"sha256:{reference.encode().hex():0<64.64}",
            references=(reference,),
            size=sum(map(len, self.files[reference].values())),
            created=_CREATED,
            path=("/usr/bin", "/bin"),
            labels=self.labels.get(reference, {}),
        )

    async def image(self, reference: str) -> Image:
        """Return one image."""
        async with self.faults.call("image"):
            if reference not in self.files:
                raise ImageNotFound(f"The image {reference}: the engine does not have it.")
            return self.named_image(reference)

    async def pull(self, reference: str) -> AsyncGenerator[Progress, None]:
        """Fetch an image from the registry in memory."""
        with self.stream():
            async with self.faults.call("pull"):
                if reference not in self.registry:
                    raise ImageNotFound(f"No registry has the image {reference}.")
                self.faults.check_disk(f"The image {reference}")
            for progress in self.registry[reference]:
                yield progress
                await self.faults.reach()
            await self.hold_pulls.wait()
            await self.faults.reach()
            self.files[reference] = dict(self.files[SHELL])

    async def build(self, spec: ImageSpec) -> AsyncGenerator[str, None]:
        """Build an image: its files are those of its base, and `RUN exit 1` fails."""
        with self.stream():
            async with self.faults.call("build"):
                self.builds.append(spec)
            lines = spec.dockerfile.splitlines()
            for number, line in enumerate(lines, 1):
                yield f"Step {number}/{len(lines)} : {line}"
                await self.faults.reach()
                if line == "RUN exit 1":
                    raise ImageNotFound("The command '/bin/sh -c exit 1' returned code 1")
            await self.hold_pulls.wait()
            await self.faults.reach()
            self.files[spec.reference] = dict(self.files[lines[0].split()[1]])
            self.labels[spec.reference] = spec.labels

    async def remove_image(self, reference: str) -> None:
        """Remove an image that no container is made of."""
        async with self.faults.call("remove_image"):
            if self.is_used(reference):
                raise EngineError(f"The image {reference} is in use.")
            self.files.pop(reference, None)
