"""Routes of jobs: `/upload`, `/jobs`, `/stop`, and the files sent with them (`/files/{sha256}`)."""

from __future__ import annotations

from http import HTTPStatus

from tornado import web

from nds_jupyter.admission.job_request import JobRequest
from nds_jupyter.data.entries import Entry
from nds_jupyter.errors import InvalidRequest
from nds_jupyter.handlers.base_handler import NdsHandler, allowed
from nds_jupyter.handlers.request_bodies import BodyReceiver
from nds_jupyter.handlers.request_decoding import (
    decode_form_request,
    decode_json_request,
    single_values,
)
from nds_jupyter.jobs.script import extract_cell
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JobFilter
from nds_jupyter.rest.queries import JobQuery, JobsQuery, NoQuery, StopQuery
from nds_jupyter.rest.views import FileView, job_view, spec_view

IDEMPOTENCY_KEY = "Idempotency-Key"


class UploadHandler(NdsHandler):
    """Create a docker job; status of a docker job."""

    @allowed("read")
    async def get(self) -> None:
        """Send the job, at once or when it has ended."""
        query = self.decode_query(JobQuery)
        job = await self.services.lookup.wait_for_end(self.owner, query.job_id, query.wait)
        self.send_json(job_view(job))

    @allowed("write")
    async def post(self) -> None:
        """Accept a job, or an array of them for a sweep: 201; 200 for a key that was used."""
        self.decode_query(NoQuery)
        request, key = self._request()
        jobs, new = await self.services.actions.submit(self.owner, request, key)
        self.set_header("Location", f"{self.request.path}?job_id={jobs[0].job_id}")
        views = list(map(job_view, jobs))
        self.send_json(views if jobs[0].spec.sweep else views[0], 201 if new else 200)

    def _request(self) -> tuple[JobRequest, str | None]:
        header = self.request.headers.get(IDEMPOTENCY_KEY)
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            return decode_json_request(self.request.body), header
        if kind not in {"multipart/form-data", "application/x-www-form-urlencoded"}:
            raise InvalidRequest(
                f"Content-Type: {kind or 'nothing'} is not understood. Send multipart/form-data, "
                "application/x-www-form-urlencoded or application/json."
            )
        fields = single_values(self.request.body_arguments)
        field_key = fields.pop(IDEMPOTENCY_KEY, None)
        files = {}
        for name, uploads in self.request.files.items():
            if len(uploads) > 1:
                raise InvalidRequest(f"{name}: {len(uploads)} files are given. Give one.")
            files[name] = (uploads[0].filename, uploads[0].body)
        return decode_form_request(fields, files), header or field_key


class JobsHandler(NdsHandler):
    """The owner's jobs."""

    @allowed("read")
    async def get(self) -> None:
        """Send a page of jobs, newest first."""
        query = self.decode_query(JobsQuery)
        job_filter = JobFilter(
            q=query.q,
            state=query.state,
            name=query.name,
            image=query.image,
            since=query.since,
            sweep=query.sweep,
            before=query.cursor,
            limit=query.limit,
        )
        page = await self.services.journal.call(Journal.page, self.owner, job_filter)
        self.set_header("X-Total-Count", str(page.total))
        if page.next is not None:
            self.set_next_link(page.next)
        self.send_json([job_view(self.services.lookup.refresh(job)) for job in page.jobs])


class JobHandler(NdsHandler):
    """One job."""

    @allowed("read")
    async def get(self, job_id: str) -> None:
        """Send its specification, with the fields of `POST /upload`."""
        self.decode_query(NoQuery)
        job = await self.services.lookup.find_job(self.owner, job_id)
        script = await self.services.journal.call(Journal.script, job.job_id)
        self.send_json(spec_view(job.spec, script))

    @allowed("write")
    async def delete(self, job_id: str) -> None:
        """Stop it if it runs, remove its container and its record."""
        self.decode_query(NoQuery)
        await self.services.actions.delete(self.owner, job_id)
        self.set_status(204)
        self.finish()


class ScriptHandler(NdsHandler):
    """The script of a job."""

    @allowed("read")
    async def get(self) -> None:
        """Send it as it was uploaded; of a cell that was sent with its values, the cell."""
        job = await self.services.lookup.find_job(self.owner, self.decode_query(JobQuery).job_id)
        script = await self.services.journal.call(Journal.script, job.job_id)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(script if (cell := extract_cell(script)) is None else cell)


class RerunHandler(NdsHandler):
    """Rerun of a job."""

    @allowed("write")
    async def post(self, job_id: str) -> None:
        """Accept the same job again, as a new one."""
        self.decode_query(NoQuery)
        self.send_json(job_view(await self.services.actions.rerun(self.owner, job_id)), 201)


class BackgroundHandler(NdsHandler):
    """A job whose cell is to go on without it."""

    @allowed("write")
    async def post(self, job_id: str) -> None:
        """Tell the cell that waits for it to go on."""
        self.decode_query(NoQuery)
        self.send_json(job_view(await self.services.actions.send_to_background(self.owner, job_id)))


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
        query = self.decode_arguments(StopQuery)
        self.send_json(
            await self.services.actions.stop(
                self.owner, job_id=query.job_id, cont_id=query.cont_id, grace=query.timeout
            )
        )

    def problem_body(self, status: int, body: dict[str, object]) -> dict[str, object]:
        """Add the fields of this route's responses to an error."""
        state = "UNKNOWN" if status == 404 else "failed"
        return {**body, "state": state, "error": body["message"]}


@web.stream_request_body
class FileHandler(BodyReceiver[Entry]):
    """One file of the owner, by the SHA-256 of its content."""

    @allowed("read")
    async def get(self, sha256: str) -> None:
        """Stream it."""
        entry = await self._find_file(sha256)
        await self.send_stream(self.services.spool.read(entry))

    @allowed("read")
    async def head(self, sha256: str) -> None:
        """Send whether the server has it, which then keeps it for longer."""
        await self._find_file(sha256)
        self.finish()

    async def _find_file(self, sha256: str) -> Entry:
        self.decode_query(NoQuery)
        entry = await self.services.spool.find(self.owner, sha256)
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Disposition", "attachment")
        self.set_header("Content-Length", str(entry.size))
        return entry

    async def receive(self) -> Entry:
        """Write the body into the spool."""
        self.decode_query(NoQuery)
        length = self.request.headers.get("Content-Length")
        return await self.services.spool.add(
            self.owner,
            self.path_kwargs["sha256"],
            self.body_blocks(),
            None if length is None else int(length),
        )

    @allowed("write")
    async def put(self, sha256: str) -> None:
        """Respond once the file is complete and has this digest."""
        entry = await self.wait_for_result()
        self.send_json(FileView(sha256=sha256, size=entry.size), HTTPStatus.CREATED)
