"""`/jobs`, and what is done to a job."""

from __future__ import annotations

from nds_jupyter.cell_archives import cell_of
from nds_jupyter.handlers.base import NdsHandler, allowed
from nds_jupyter.journal import Journal
from nds_jupyter.journal.job_pages import JobFilter
from nds_jupyter.queries import JobQuery, JobsQuery, NoQuery, StopQuery
from nds_jupyter.views import job_view, spec_view


class JobsHandler(NdsHandler):
    """The owner's jobs."""

    @allowed("read")
    async def get(self) -> None:
        """Give a page of jobs, newest first."""
        query = self.query(JobsQuery)
        wanted = JobFilter(
            q=query.q,
            state=query.state,
            name=query.name,
            image=query.image,
            since=query.since,
            sweep=query.sweep,
            before=query.cursor,
            limit=query.limit,
        )
        page = await self.services.journal.do(Journal.page, self.owner, wanted)
        self.set_header("X-Total-Count", str(page.total))
        if page.next is not None:
            self.link_next(page.next)
        self.answer([job_view(self.services.lookup.latest(job)) for job in page.jobs])


class JobHandler(NdsHandler):
    """One job."""

    @allowed("read")
    async def get(self, job_id: str) -> None:
        """Give what it was asked for, in the words of `POST /upload`."""
        self.query(NoQuery)
        job = await self.services.lookup.job(self.owner, job_id)
        script = await self.services.journal.do(Journal.script, job.job_id)
        self.answer(spec_view(job.spec, script))

    @allowed("write")
    async def delete(self, job_id: str) -> None:
        """Stop it if it runs, remove its container and its record."""
        self.query(NoQuery)
        await self.services.actions.delete(self.owner, job_id)
        self.set_status(204)
        self.finish()


class ScriptHandler(NdsHandler):
    """The script of a job."""

    @allowed("read")
    async def get(self) -> None:
        """Give it as it was sent; of a cell that came with its values, the cell."""
        job = await self.services.lookup.job(self.owner, self.query(JobQuery).job_id)
        script = await self.services.journal.do(Journal.script, job.job_id)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(script if (cell := cell_of(script)) is None else cell)


class RerunHandler(NdsHandler):
    """The same job again."""

    @allowed("write")
    async def post(self, job_id: str) -> None:
        """Accept it as a new job."""
        self.query(NoQuery)
        self.answer(job_view(await self.services.actions.rerun(self.owner, job_id)), 201)


class BackgroundHandler(NdsHandler):
    """A job that nobody waits for."""

    @allowed("write")
    async def post(self, job_id: str) -> None:
        """Let the cell that waits for it go on."""
        self.query(NoQuery)
        self.answer(job_view(await self.services.actions.send_to_background(self.owner, job_id)))


class StopHandler(NdsHandler):
    """Stop a job or container; `write` for both verbs, since both change something."""

    @allowed("write")
    async def get(self) -> None:
        """Stop it; with a cookie alone Jupyter's XSRF check must pass."""
        self.refuse_cross_site_get()
        await self._stop()

    @allowed("write")
    async def post(self) -> None:
        """Stop it."""
        await self._stop()

    async def _stop(self) -> None:
        query = self.arguments(StopQuery)
        self.answer(
            await self.services.actions.stop(
                self.owner, job_id=query.job_id, cont_id=query.cont_id, grace=query.timeout
            )
        )

    def problem_body(self, status: int, body: dict[str, object]) -> dict[str, object]:
        """Say in the words of this route what became of it."""
        state = "UNKNOWN" if status == 404 else "failed"
        return {**body, "state": state, "error": body["message"]}
