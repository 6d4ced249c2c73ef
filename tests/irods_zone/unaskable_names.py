"""Names that the server's own queries of the old language fail on: a quote, then `||`.

They can be made, and then neither be read, changed nor removed by their path.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from tests.irods_zone import collection_paths, objects
from tests.irods_zone.codes import Api, CallError, Flag, Status
from tests.irods_zone.handlers import Caller
from tests.irods_zone.packing import keywords, number

_UNASKABLE = re.compile(r"'\s*\|\|")
_UNASKED = (Api.CREATE_COLLECTION, Api.REGISTER)


def is_unaskable(name: str) -> bool:
    """Whether a condition of the old query language with this value is no SQL."""
    return _UNASKABLE.search(name) is not None


def refuse(caller: Caller, api: int, body: Element) -> None:
    """Refuse a call on such a path, as the server does when its own query fails."""
    path = next((each.text or "" for each in body.iter("objPath")), "")
    if api in _UNASKED or not is_unaskable(path):
        return
    if api == Api.STAT:
        raise CallError(Status.NO_SUCH_FILE)
    if api in (Api.OPEN, Api.CREATE) and number(body, "openFlags") & Flag.CREATE:
        _make(caller, path, keywords(body))
    raise CallError(Status.SQL_ERROR)


def _make(caller: Caller, path: str, words: dict[str, str]) -> None:
    """Make the object all the same: its row is there before the query fails."""
    with caller.store.catalogue.change() as db:
        if objects.replicas(db, path):
            raise CallError(Status.ALREADY_EXISTS)
        place = objects.require_place(db, caller.who, path)
        resource = objects.find_resource(db, words)
        name = collection_paths.split(path)[1]
        objects.insert(caller.store, db, caller.who, place, name, resource)
