"""Lookup of images: which nodes have them, and whether a registry does."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Iterable
from typing import cast

import msgspec

from nds_jupyter.engines.base import Image
from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.errors import EngineUnavailable, ImageNotFound
from nds_jupyter.jobs.job import Progress

MAX_AGE = 60.0
"""Seconds for which an image that was found is taken to be there."""


class ImageLookup:
    """Finds images on the nodes and in their registries, and caches what was found."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._on_nodes: dict[str, tuple[float, Image]] = {}
        self._in_registries: dict[str, tuple[float, Image]] = {}

    async def list_images(self) -> tuple[Image, ...]:
        """List the images that any node has, each with the nodes that have it."""
        replies = await self._nodes.call_each_node(lambda engine: engine.images())
        if not replies.results:
            raise EngineUnavailable("The Swarm does not answer, none of its nodes.")
        merged: dict[str, Image] = {}
        for node_id, images in replies.results.items():
            worker = await self._nodes.node_name(node_id)
            for image in cast("Iterable[Image]", images):
                for reference in image.references:
                    first = merged.get(reference)
                    merged[reference] = msgspec.structs.replace(
                        first or image,
                        references=(reference,),
                        workers=tuple(sorted((*(first.workers if first else ()), worker))),
                    )
        return tuple(merged.values())

    async def find(self, reference: str) -> Image:
        """Return an image that a node has, or that a registry was found to have.

        A registry does not say where programs are looked for in it; a node that has it does.
        """
        if (cached := _unless_expired(self._on_nodes, reference)) is not None:
            return cached
        replies = await self._nodes.call_each_node(lambda engine: _find_on_node(engine, reference))
        found = [cast("Image", each) for each in replies.results.values() if each is not None]
        if found:
            self._on_nodes[reference] = (time.monotonic(), found[0])
            return found[0]
        if not replies.results:
            raise EngineUnavailable("The Swarm does not answer, none of its nodes.")
        if (in_registry := _unless_expired(self._in_registries, reference)) is not None:
            return in_registry
        raise ImageNotFound(f"The image {reference}: no node of the Swarm has it.")

    def runs_as_root(self, reference: str) -> bool:
        """Whether containers of an image that was found on a node run as root."""
        _, image = self._on_nodes.get(reference, (0.0, None))
        return image is not None and image.is_root

    async def find_in_registry(self, reference: str) -> AsyncGenerator[Progress, None]:
        """Have a manager look the image up in its registry; nothing is fetched yet."""
        image = await self._nodes.call_manager(lambda manager: manager.registry_image(reference))
        self._in_registries[reference] = (time.monotonic(), image)
        yield Progress(done=0, total=None, unit="bytes")


def _unless_expired(cache: dict[str, tuple[float, Image]], reference: str) -> Image | None:
    found_at, image = cache.get(reference, (float("-inf"), None))
    return image if time.monotonic() - found_at < MAX_AGE else None


async def _find_on_node(engine: NodeEngine, reference: str) -> Image | None:
    with contextlib.suppress(ImageNotFound):
        return await engine.image(reference)
    return None
