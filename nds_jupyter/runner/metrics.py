"""Metrics of running containers, sampled in the background and kept when they end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence

import msgspec

from nds_jupyter.engines.base import Engine, Sample
from nds_jupyter.errors import NdsError, NoEndpoint
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.runner.runner_settings import JobListener

FIRST_SAMPLE_DELAY = 1.0
"""Seconds after the start; a shorter job is not worth a stream of its own."""

MAX_SAMPLES = 3600
"""Samples kept of one job: an hour at one a second. Beyond it every second one is dropped."""

WRITE_EVERY = 60
"""Samples between two writes, so that a crash costs a minute of history."""


class MetricsHistory:
    """Bounded series of samples that drops every second one when full, to span the whole job."""

    def __init__(self, samples: tuple[Sample, ...] = ()) -> None:
        self.samples = list(samples)
        self._stride = 1
        self._seen = 0

    def add(self, sample: Sample) -> None:
        """Add a sample, or pass over it when the series has become coarser than that."""
        self._seen += 1
        if self._seen % self._stride:
            return
        self.samples.append(sample)
        if len(self.samples) >= MAX_SAMPLES:
            del self.samples[::2]
            self._stride *= 2


class MetricsSampler:
    """Sampler of the running containers, one stream of the engine for each.

    Parameters
    ----------
    engine
        Gives the streams of samples.
    journal
        Stores the series.
    log
        Errors are logged to it.
    listeners
        Called with every sample.
    """

    def __init__(
        self,
        engine: Engine,
        journal: JournalThread,
        log: logging.Logger,
        listeners: Sequence[JobListener] = (),
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._log = log
        self._listeners = listeners
        self._latest: dict[str, Sample] = {}
        self._histories: dict[str, MetricsHistory] = {}

    def latest_sample(self, job_id: str) -> Sample | None:
        """Return the newest sample of a running job."""
        return self._latest.get(job_id)

    def latest_samples(self) -> tuple[Sample, ...]:
        """Return the newest sample of every running job."""
        return tuple(self._latest.values())

    async def history(self, job_id: str) -> tuple[Sample, ...]:
        """Return the samples of a job, running or ended, oldest first."""
        live = self._histories.get(job_id)
        return await self._load(job_id) if live is None else tuple(live.samples)

    @contextlib.asynccontextmanager
    async def sample_container(self, job_id: str, container_id: str) -> AsyncIterator[None]:
        """Sample a container while the block runs, then store the series."""
        task = asyncio.create_task(self._sample(job_id, container_id))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            self._latest.pop(job_id, None)
            await self._store(job_id)
            self._histories.pop(job_id, None)

    async def _sample(self, job_id: str, container_id: str) -> None:
        await asyncio.sleep(FIRST_SAMPLE_DELAY)
        history = self._histories[job_id] = MetricsHistory(await self._load(job_id))
        while True:
            try:
                async with contextlib.aclosing(self._engine.stats(container_id)) as samples:
                    async for sample in samples:
                        self._latest[job_id] = sample
                        history.add(sample)
                        for listener in self._listeners:
                            listener.job_sampled(job_id, sample)
                        if len(history.samples) % WRITE_EVERY == 0:
                            await self._store(job_id)
            except NoEndpoint as exc:
                self._log.debug("Job %s is not sampled: %s", job_id, exc)
                return
            except NdsError as exc:
                self._log.debug("Job %s is not sampled for now: %s", job_id, exc)
            except Exception:  # noqa: BLE001 - the job is worth more than its metrics
                self._log.exception("Job %s is not sampled for now.", job_id)
            await asyncio.sleep(FIRST_SAMPLE_DELAY)

    async def _load(self, job_id: str) -> tuple[Sample, ...]:
        body = await self._journal.call(Journal.snapshot, job_id, "metrics")
        return () if body is None else msgspec.json.decode(body, type=tuple[Sample, ...])

    async def _store(self, job_id: str) -> None:
        history = self._histories.get(job_id)
        if history is None or not history.samples:
            return
        try:
            body = msgspec.json.encode(history.samples)
            await self._journal.call(Journal.save_snapshot, job_id, "metrics", body)
        except NdsError as exc:
            self._log.warning("The metrics of job %s are not kept: %s", job_id, exc)
