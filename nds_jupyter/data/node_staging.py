"""Staging on the job's node by a stager container, so that inputs bypass the server."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.stager_protocol import COMMAND, ERRAND, StagerRequest, said
from nds_jupyter.data.transfer_errors import TransferFailed, of_the_data
from nds_jupyter.engines.base import MAX_CONFIG_BYTES, Engine
from nds_jupyter.engines.cluster import StagerSpec, SupportsStagers
from nds_jupyter.errors import DataError, EngineError, EngineUnavailable, ImageNotFound
from nds_jupyter.jobs.inputs import DATA_FOLDER
from nds_jupyter.jobs.job import Input, Limits, Progress
from nds_jupyter.jobs.logical_paths import is_inside

HELPER_LIMITS = Limits(cpus=2.0, memory=2**30, pids=256)
"""What a helper may use; nothing is reserved for it, since its job's own share stands idle."""

LAST_LINES = 5
"""Lines of a helper's log in the sentence about one that failed without a word."""

_AUTHORITIES = "irods_ssl_ca_certificate_file"


class NodeStaging:
    """Gives errands to helper containers.

    Parameters
    ----------
    store
        Where the inputs are; only those of an iRODS zone can be fetched from elsewhere.
    engine
        Where the containers are.
    image
        Of the helper; empty for none.
    most
        Entries of one job at most.
    """

    def __init__(self, store: DataRoot, engine: Engine, image: str, most: int) -> None:
        self._store = store
        self._engine = engine
        self._image = image
        self._most = most

    async def folder(self, inputs: tuple[Input, ...]) -> str:
        """Return the folder that must be a volume for a helper to bring these inputs.

        Returns
        -------
        str
            Empty where they pass through this server.
        """
        if not self._image or not inputs or self._store.backend.settings_elsewhere() is None:
            return ""
        if not all(is_inside(each.to, DATA_FOLDER) for each in inputs):
            return ""
        runs_stagers = (await self._engine.info()).runs_stagers
        return DATA_FOLDER if runs_stagers and len(self._errand(inputs)) <= MAX_CONFIG_BYTES else ""

    def _errand(self, inputs: tuple[Input, ...]) -> bytes:
        """Return the errand; it holds a password."""
        settings = dict(self._store.backend.settings_elsewhere() or {})
        certificates = ""
        named = settings.pop(_AUTHORITIES, None)
        if named is not None:
            try:
                certificates = Path(str(named)).read_text()
            except OSError as exc:
                raise DataError(f"{named} can't be read: {exc.strerror}.") from exc
        return msgspec.json.encode(
            StagerRequest(
                settings=settings,
                certificates=certificates,
                base=self._store.backend.base,
                inputs=inputs,
                most=self._most,
            )
        )

    async def bring(
        self,
        inputs: tuple[Input, ...],
        container_id: str,
        report: Callable[[Progress], Awaitable[object]],
    ) -> None:
        """Have the inputs fetched into a container's volume.

        Raises
        ------
        TransferFailed
            What went wrong, in the helper's own words.
        """
        if not isinstance(self._engine, SupportsStagers):
            raise TransferFailed("The engine runs no helper containers.")
        with of_the_data():
            errand = self._errand(inputs)
        spec = StagerSpec(
            image=self._image,
            command=COMMAND,
            secret=errand,
            secret_path=ERRAND,
            folder=DATA_FOLDER,
            limits=HELPER_LIMITS,
        )
        failure = ""
        last: deque[str] = deque(maxlen=LAST_LINES)
        try:
            async with contextlib.aclosing(self._engine.run_stager(container_id, spec)) as lines:
                async for line in lines:
                    told = said(line)
                    if told is None:
                        last.append(line)
                    elif told.error:
                        failure = told.error
                    else:
                        await report(Progress(done=told.done, total=told.total, unit="bytes"))
        except EngineUnavailable:
            raise
        except (EngineError, ImageNotFound) as exc:
            more = f" Its last words: {' '.join(last)}" if last else ""
            raise TransferFailed(failure or f"{exc.message}{more}") from exc
