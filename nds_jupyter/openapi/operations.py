"""One verb of one route, as the OpenAPI document describes it."""

from __future__ import annotations

from typing import Any

import msgspec

from nds_jupyter import queries


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One verb of one route.

    Parameters
    ----------
    body
        Type of the request's JSON body.
    takes
        Media type of a request's body that is not JSON.
    also
        Other statuses of the same answer.
    answer
        Type of the JSON body; None where it is not JSON.
    media
        Other media types of the answer.
    errors
        Statuses beyond 400, 401, 403 and 404.
    """

    verb: str
    path: str
    summary: str
    query: type = queries.NoQuery
    body: Any = None
    takes: str = ""
    status: int = 200
    also: tuple[int, ...] = ()
    answer: Any = None
    media: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()
