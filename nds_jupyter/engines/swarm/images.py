"""Images in a Swarm: a node fetches what it lacks by itself, so it is enough that one can."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator
from typing import cast

from nds_jupyter.engines.base import Image
from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.errors import EngineUnavailable, ImageNotFound
from nds_jupyter.jobs import Progress

BELIEVED = 60.0
"""Seconds for which an image that was seen is taken to be there."""


class Images:
    """Answers whether an image can be had."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._seen: dict[str, tuple[float, Image]] = {}
        self._in_registry: dict[str, tuple[float, Image]] = {}

    async def image(self, reference: str) -> Image:
        """Return an image that a node has, or that a registry was seen to have.

        A registry does not say where programs are looked for in it; a node that has it does.
        """
        if (seen := _believed(self._seen, reference)) is not None:
            return seen
        answers = await self._nodes.ask_each(lambda engine: _image_there(engine, reference))
        found = [cast("Image", each) for each in answers.found.values() if each is not None]
        if found:
            self._seen[reference] = (time.monotonic(), found[0])
            return found[0]
        if not answers.found:
            raise EngineUnavailable("The Swarm does not answer, none of its nodes.")
        if (promised := _believed(self._in_registry, reference)) is not None:
            return promised
        raise ImageNotFound(f"The image {reference}: no node of the Swarm has it.")

    def is_root(self, reference: str) -> bool:
        """Whether containers of an image that was asked for run as root, as far as is known."""
        _, seen = self._seen.get(reference, (0.0, None))
        return seen is not None and seen.is_root

    async def find_in_registry(self, reference: str) -> AsyncGenerator[Progress, None]:
        """Ask a manager to look the image up in its registry; nothing is fetched yet."""
        image = await self._nodes.ask_manager(lambda manager: manager.registry_image(reference))
        self._in_registry[reference] = (time.monotonic(), image)
        yield Progress(done=0, total=None, unit="bytes")


def _believed(seen: dict[str, tuple[float, Image]], reference: str) -> Image | None:
    at, image = seen.get(reference, (float("-inf"), None))
    return image if time.monotonic() - at < BELIEVED else None


async def _image_there(engine: NodeEngine, reference: str) -> Image | None:
    with contextlib.suppress(ImageNotFound):
        return await engine.image(reference)
    return None
