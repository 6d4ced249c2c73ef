"""State that the magics of one kernel share: client, settings and last job."""

from __future__ import annotations

from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from nds_jupyter.client import Client
from nds_jupyter.client.job import Job
from nds_jupyter.errors import InvalidRequest, JobNotFound
from nds_jupyter.magics.cell_source import CellSource
from nds_jupyter.magics.settings import NdsMagics


class MagicsSession:
    """The state of the magics in one kernel.

    Parameters
    ----------
    settings
        What `%config NdsMagics` sets.
    source
        Source of the running cell.
    """

    def __init__(self, shell: InteractiveShell, settings: NdsMagics, source: CellSource) -> None:
        self.settings = settings
        self.source = source
        self.last_job: Job | None = None
        self._shell = shell
        self._client: Client | None = None
        self._client_settings: tuple[str, str] = ("", "")

    @property
    def client(self) -> Client:
        """The client for the configured server."""
        settings = (self.settings.url, self.settings.token)
        if self._client is None or self._client_settings != settings:
            self._client = Client(*settings)
            self._client_settings = settings
        return self._client

    @property
    def namespace(self) -> dict[str, Any]:
        """The notebook's variables."""
        names: dict[str, Any] = self._shell.user_ns
        return names

    def resolve_job(self, text: str | None) -> Job:
        """Return the job of a variable, an id, a prefix of one, or a name; -1 is the last."""
        word = (text or "").strip()
        if word in {"", "-1"}:
            if self.last_job is None:
                raise InvalidRequest("No job was submitted from this kernel yet. Give an id.")
            return self.last_job.refresh()
        variable = self.namespace.get(word)
        if isinstance(variable, Job):
            return variable.refresh()
        try:
            return find_job(self.client, word)
        except JobNotFound as exc:
            hint = f" The variable {word} is no job either." if word in self.namespace else ""
            raise JobNotFound(f"{exc}{hint} %ndsjobs lists your jobs.", **exc.details) from None


def find_job(client: Client, word: str) -> Job:
    """Return the job of an id, a unique prefix of one, or a name; the newest job of that name.

    Raises
    ------
    JobNotFound
        If there is none.
    """
    try:
        return client.job(word)
    except JobNotFound:
        for job in client.jobs(name=word):
            if job.view.name == word:
                return job
        raise JobNotFound(f"No job of yours has the id or the name {word}.") from None
