"""Restarts of the database under the server: what agents say whose connection to it is gone."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from tests.irods_zone.codes import Api, CallError, Status
from tests.irods_zone.packing import text

WITHOUT_DATABASE = (Api.READ, Api.WRITE, Api.LSEEK, Api.CLOSE)
WITH_CONNECTION_OF_ITS_OWN = (Api.GENQUERY2,)

_TOLD: dict[int, Status] = {
    Api.STAT: Status.NO_SUCH_FILE,
    Api.CREATE_COLLECTION: Status.INVALID_INPUT,
    Api.METADATA: Status.UNKNOWN_FILE,
    Api.ACCESS: Status.INVALID_ARGUMENT,
}
_NO_ZONE = (
    "SYS_INVALID_INPUT_PARAM]  errno [] -- message [a valid zone name does not appear at the root"
    " of the object path [{above}]]\n"
)


class Database:
    """The database's runs: a connection to it lasts as long as the run in which it was made."""

    def __init__(self) -> None:
        self.run = 1
        self.is_running = True

    def stop(self) -> None:
        """End every connection to it, and take no new ones."""
        self.run += 1
        self.is_running = False

    def start(self) -> None:
        """Take connections again."""
        self.is_running = True

    def require(self, run: int, api: int, body: Element) -> None:
        """Refuse a call of an agent that has lost its connection, as the server does: wrongly."""
        if api in WITHOUT_DATABASE or (run == self.run and self.is_running):
            return
        if api in WITH_CONNECTION_OF_ITS_OWN:
            if self.is_running:
                return
            raise CallError(Status.LIBRARY_ERROR)
        message = ""
        if api == Api.CREATE_COLLECTION:
            above = "/".join(text(body, "collName").split("/")[:2])
            message = _NO_ZONE.format(above=above)
        elif api == Api.ACCESS:
            path = text(body, "path")
            message = f"Input path is not a collection and not a dataObj: {path}"
        raise CallError(_TOLD.get(api, Status.SQL_ERROR), message)
