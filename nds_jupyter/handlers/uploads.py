"""`/upload`: create a job, and its status."""

from __future__ import annotations

from nds_jupyter.admission.job_request import JobRequest
from nds_jupyter.errors import InvalidRequest
from nds_jupyter.handlers.base import NdsHandler, allowed
from nds_jupyter.handlers.decode import form_request, json_request, single_values
from nds_jupyter.queries import JobQuery, NoQuery
from nds_jupyter.views import job_view

IDEMPOTENCY_KEY = "Idempotency-Key"


class UploadHandler(NdsHandler):
    """Create a docker job; status of a docker job."""

    @allowed("read")
    async def get(self) -> None:
        """Give the job, at once or when it has ended."""
        query = self.query(JobQuery)
        job = await self.services.lookup.job_at_its_end(self.owner, query.job_id, query.wait)
        self.answer(job_view(job))

    @allowed("write")
    async def post(self) -> None:
        """Accept a job, or an array of them for a sweep: 201; 200 for a key that was used."""
        self.query(NoQuery)
        request, key = self._request()
        jobs, new = await self.services.actions.submit(self.owner, request, key)
        self.set_header("Location", f"{self.request.path}?job_id={jobs[0].job_id}")
        views = list(map(job_view, jobs))
        self.answer(views if jobs[0].spec.sweep else views[0], 201 if new else 200)

    def _request(self) -> tuple[JobRequest, str | None]:
        header = self.request.headers.get(IDEMPOTENCY_KEY)
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            return json_request(self.request.body), header
        if kind not in {"multipart/form-data", "application/x-www-form-urlencoded"}:
            raise InvalidRequest(
                f"Content-Type: {kind or 'nothing'} is not understood. Send multipart/form-data, "
                "application/x-www-form-urlencoded or application/json."
            )
        fields = single_values(self.request.body_arguments)
        field_key = fields.pop(IDEMPOTENCY_KEY, None)
        files = {}
        for name, given in self.request.files.items():
            if len(given) > 1:
                raise InvalidRequest(f"{name}: {len(given)} files are given. Give one.")
            files[name] = (given[0].filename, given[0].body)
        return form_request(fields, files), header or field_key
