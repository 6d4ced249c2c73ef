"""Metadata (AVUs) of collections and data objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from irods.exception import CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME
from irods.meta import iRODSMeta
from irods.models import Collection, DataObject

from nds_jupyter.data.entries import Avu
from nds_jupyter.data.irods.listing import Listing
from nds_jupyter.data.irods.sessions import SessionHolder, ZoneSession


class MetadataOperations:
    """What is known of a path, beyond what it holds."""

    def __init__(self, sessions: SessionHolder, listing: Listing) -> None:
        self._sessions = sessions
        self._listing = listing

    def get(self, path: str) -> tuple[Avu, ...]:
        """Return it, in the order of names, values and units."""
        model = self._model(path)
        found = self._sessions.call(lambda session: session.metadata.get(model, path), path)
        avus = {Avu(name=each.name, value=each.value, unit=each.units or "") for each in found}
        return tuple(sorted(avus, key=lambda each: (each.name, each.value, each.unit)))

    def replace(self, path: str, avus: Iterable[Avu]) -> None:
        """Make these the only ones; what is added comes first, so that a break loses nothing."""
        wanted, there = set(avus), set(self.get(path))
        self._change(path, wanted - there, there - wanted)

    def add(self, path: str, avus: Iterable[Avu]) -> None:
        """Add them; one that is there already stays."""
        self._change(path, avus, ())

    def remove(self, path: str, avus: Iterable[Avu]) -> None:
        """Remove those of them that are there."""
        self._change(path, (), set(avus) & set(self.get(path)))

    def _change(self, path: str, added: Iterable[Avu], removed: Iterable[Avu]) -> None:
        model = self._model(path)
        for avu in _sorted(added):
            self._sessions.call(_adding(model, path, avu), path)
        for avu in _sorted(removed):
            self._sessions.call(_removing(model, path, avu), path, repeatable=False)

    def _model(self, path: str) -> Any:
        return Collection if self._listing.find(path).entry().is_collection else DataObject


def _adding(model: Any, path: str, avu: Avu) -> Callable[[ZoneSession], None]:
    def add(session: ZoneSession) -> None:
        try:
            session.metadata.add(model, path, _meta(avu))
        except CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME:
            # It is there: also what a repetition after a lost answer finds.
            return

    return add


def _removing(model: Any, path: str, avu: Avu) -> Callable[[ZoneSession], None]:
    def remove(session: ZoneSession) -> None:
        session.metadata.remove(model, path, _meta(avu))

    return remove


def _meta(avu: Avu) -> iRODSMeta:
    if not avu.name or not avu.value:
        raise ValueError(f"Metadata needs a name and a value; {avu.name!r} has {avu.value!r}.")
    return iRODSMeta(avu.name, avu.value, avu.unit or None)


def _sorted(avus: Iterable[Avu]) -> list[Avu]:
    return sorted(set(avus), key=lambda each: (each.name, each.value, each.unit))
