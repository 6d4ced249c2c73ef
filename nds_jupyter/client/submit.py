"""Submission of jobs, and upload of the local files that are sent with them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from nds_jupyter.client.job import Job, exported_files_folder
from nds_jupyter.client.job_array import JobArray
from nds_jupyter.client.transport import (
    CHUNK_SIZE,
    UPLOAD_TIMEOUT,
    ProgressCallback,
    Transport,
    ignore_progress,
)
from nds_jupyter.errors import Conflict, InvalidRequest, ServerNotFound
from nds_jupyter.rest import routes
from nds_jupyter.rest.views import FileView, JobView, SpecView

SMALL_FILE = 64 * 2**10
"""Bytes up to which a file is sent without asking whether the server has it."""

Source = str | PathLike[str] | bytes
"""The path of a file, or its content."""


class LocalFile:
    """Open file that is uploaded for a job, addressed by its SHA-256.

    Parameters
    ----------
    to
        Its absolute path in the container, or a plain name in ``/nds/in``.
    file
        Seekable.
    sha256
        Hexadecimal digest of its content.
    """

    def __init__(self, to: str, file: IO[bytes], *, size: int, sha256: str) -> None:
        self.to = to
        self.size = size
        self.sha256 = sha256
        self._file = file

    @classmethod
    def from_source(cls, to: str, source: Source) -> LocalFile:
        """Open a file and read it once, for its digest."""
        if isinstance(source, bytes):
            digest = hashlib.sha256(source).hexdigest()
            return cls(to, io.BytesIO(source), size=len(source), sha256=digest)
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(Path(source).open("rb"))
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            local = cls(to, file, size=file.tell(), sha256=digest)
            stack.pop_all()
        return local

    @property
    def name(self) -> str:
        """Its file name in the container."""
        return self.to.rpartition("/")[2]

    def reference(self) -> dict[str, str]:
        """Return the entry of a request that refers to it."""
        return {"sha256": self.sha256, "to": self.to}

    def content(self) -> bytes:
        """Return the whole content, of a small file."""
        self._file.seek(0)
        return self._file.read()

    def chunks(self, progress: ProgressCallback) -> Generator[bytes, None, None]:
        """Yield its content and report the progress; what `progress` raises ends the upload."""
        self._file.seek(0)
        done = 0
        progress(self.name, done, self.size)
        while data := self._file.read(CHUNK_SIZE):
            yield data
            done += len(data)
            progress(self.name, done, self.size)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextlib.contextmanager
def open_files(files: Mapping[str, Source | LocalFile] | None) -> Iterator[Sequence[LocalFile]]:
    """Open the files of a request, by their path in the container; close them at the end."""
    with contextlib.ExitStack() as stack:
        local_files = []
        for to, source in (files or {}).items():
            file = source if isinstance(source, LocalFile) else LocalFile.from_source(to, source)
            stack.callback(file.close)
            local_files.append(file)
        yield local_files


def upload_files(
    transport: Transport, files: Sequence[LocalFile], progress: ProgressCallback
) -> None:
    """Upload the files that the server does not have yet.

    Raises
    ------
    TooLarge
        If the server does not take one.
    """
    # Not before it is needed: loading the magics should not take longer than a blink.
    import httpx

    for file in files:
        route = routes.FILE.format(sha256=file.sha256)
        if file.size > SMALL_FILE and transport.exists(route):
            continue
        headers = {"Content-Length": str(file.size), "Content-Type": "application/octet-stream"}
        chunks = file.chunks(progress)
        # A server that takes nothing for a while is away; one that has all of it verifies it.
        timeout = httpx.Timeout(30.0, read=UPLOAD_TIMEOUT)
        request: dict[str, Any] = {"content": chunks, "headers": headers, "timeout": timeout}
        try:
            transport.call("PUT", route, FileView, **request)
            progress(file.name, file.size, file.size)
        finally:
            chunks.close()


REST_NAMES = {"image": "image_name"}
"""Names in the REST API of arguments that are called otherwise there."""


FILE_ARGUMENTS = frozenset({"requirements", "dockerfile"})
"""Arguments that may be given as the path of a file with their text."""


def _file_text(value: object) -> object:
    return value.read_text(encoding="utf-8") if isinstance(value, Path) else value


def request_fields(
    *,
    script: str | bytes | None = None,
    file: str | PathLike[str] | None = None,
    scriptname: str | None = None,
    files: Sequence[LocalFile] = (),
    **others: Any,
) -> dict[str, Any]:
    """Return the fields of ``POST /upload``; those that are None are left out.

    Parameters
    ----------
    script, file
        The script's text or bytes, or the path of a file with it.
    files
        Files that are sent with the script.
    others
        The other arguments of `Client.submit`.

    Raises
    ------
    InvalidRequest
        If both script and file are given.
    """
    if script is not None and file is not None:
        raise InvalidRequest("script, file: give exactly one of them; both are there.")
    fields: dict[str, Any] = {"script": script, "scriptname": scriptname}
    if file is not None:
        path = Path(file)
        fields = {"file": path.read_bytes(), "scriptname": scriptname or path.name}
    elif isinstance(script, bytes):
        fields = {"file": script, "scriptname": scriptname}
    if files:
        fields["files"] = [each.reference() for each in files]
    others |= {name: _file_text(others[name]) for name in FILE_ARGUMENTS & others.keys()}
    fields |= {REST_NAMES.get(name, name): value for name, value in others.items()}
    return {name: value for name, value in fields.items() if value is not None}


def encode_fields(fields: Mapping[str, Any]) -> bytes:
    """Return fields as JSON; bytes become base64."""
    return msgspec.json.encode(dict(fields), enc_hook=_encode_other)


def _encode_other(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) else str(value)


T = TypeVar("T")


class SubmitMethods:
    """Methods of `Client` that submit jobs.

    Parameters
    ----------
    transport
        Connection to the server.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(
        self,
        script: str | bytes | None = None,
        *,
        file: str | PathLike[str] | None = None,
        image: str | None = None,
        requirements: Sequence[str] | str | Path | None = None,
        dockerfile: str | Path | None = None,
        scriptname: str | None = None,
        name: str | None = None,
        command: Sequence[str] | None = None,
        args: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        cpus: float | None = None,
        memory: str | int | None = None,
        timeout: float | None = None,
        network: str | None = None,
        constraint: Sequence[str] | None = None,
        gpus: int | None = None,
        retries: int | None = None,
        labels: Mapping[str, str] | None = None,
        data: Sequence[str | Mapping[str, str]] | str | None = None,
        output: str | None = None,
        overwrite: bool | None = None,
        output_on_failure: bool | None = None,
        files: Mapping[str, Source | LocalFile] | None = None,
        progress: ProgressCallback = ignore_progress,
        idempotency_key: str | None = None,
    ) -> Job:
        """Submit a script as a job and return at once.

        Parameters
        ----------
        script, file
            Its text or bytes, or a file of it; exactly one.
        image
            ``name:tag``; the server's default where left out.
        requirements
            Packages that pip installs on top of the image, ``["numpy", "pandas>=2"]``; or the text
            of a file of them, or its path. Built once, then cached.
        dockerfile
            The text of a Dockerfile, or its path, to be built instead; without a FROM it begins
            from `image`. There are no files beside it.
        memory
            ``512m``, ``2g``, or bytes.
        timeout
            Seconds from the start of the script.
        constraint
            What the node must fulfil, on a Swarm: ``node.labels.gpu==true``.
        gpus
            Whole GPUs.
        retries
            How often the script may be run again when its node or its container was lost, so that
            nobody knows how it ended.
        data
            Paths of the data root that the script finds under ``/data``: a path, ``path:/where``,
            or an object of ``path`` and ``to``; one or several.
        output
            Collection of the data root that gets what is under ``/results`` at the end.
        overwrite
            Whether what `output` holds may be replaced.
        output_on_failure
            Whether results are delivered also when the script fails.
        files
            Local files that are sent with the job: by absolute path in the container, or by plain
            name for ``$NDS_IN``, the path of a file here or its content as bytes. What the server
            still has is not sent again.
        progress
            Called while a file is sent, with its name, the bytes transferred, and its size.

        Raises
        ------
        NdsError
            What the server said: `InvalidRequest`, `RefusedByPolicy`, `EngineUnavailable`, …
        """
        with open_files(files) as local_files:
            fields = request_fields(
                script=script,
                file=file,
                scriptname=scriptname,
                image=image,
                requirements=requirements,
                dockerfile=dockerfile,
                name=name,
                command=command,
                args=args,
                env=env,
                cpus=cpus,
                memory=memory,
                timeout=timeout,
                network=network,
                constraint=constraint,
                gpus=gpus,
                retries=retries,
                labels=labels,
                data=data,
                output=output,
                overwrite=overwrite,
                output_on_failure=output_on_failure,
                files=local_files,
            )
            upload_files(self._transport, local_files, progress)
        return self._post_job(fields, idempotency_key)

    def submit_sweep(
        self,
        sweep: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]],
        *,
        max_concurrent: int | None = None,
        files: Mapping[str, Source | LocalFile] | None = None,
        progress: ProgressCallback = ignore_progress,
        idempotency_key: str | None = None,
        **job: Any,
    ) -> JobArray:
        """Submit a script at many points, a job each, by one request.

        Parameters
        ----------
        sweep
            Values by name, to be crossed; or the points. The script finds its own as
            ``NDS_SWEEP_<NAME>`` and, as JSON, ``NDS_SWEEP``.
        max_concurrent
            Jobs of the sweep that run at one time.
        files, progress, job
            What `submit` takes; files are sent once.
        """
        points = (
            {name: list(values) for name, values in sweep.items()}
            if isinstance(sweep, Mapping)
            else [dict(point) for point in sweep]
        )
        with open_files(files) as local_files:
            fields = request_fields(**job, files=local_files) | {"sweep": points}
            upload_files(self._transport, local_files, progress)
        if max_concurrent is not None:
            fields["max_concurrent"] = max_concurrent
        views = self._post_upload(fields, idempotency_key, list[JobView])
        return JobArray(self._transport, [Job(self._transport, view) for view in views])

    def submit_spec(self, spec: SpecView, *, idempotency_key: str | None = None) -> Job:
        """Submit the specification of another job, `Job.spec`, as a new job.

        Raises
        ------
        Conflict
            If it had files that this server does not have: `submit_file` brings them along.
        """
        fields = {
            name: value for name, value in msgspec.structs.asdict(spec).items() if value is not None
        }
        try:
            return self._post_job(fields, idempotency_key)
        except Conflict as exc:
            if "missing" not in exc.details:
                raise
            raise Conflict(
                f"{exc.message} job.rerun() takes them from the job's container, and "
                "job.export() writes them to files that Client.submit_file() sends.",
                **exc.details,
            ) from exc

    def submit_file(
        self,
        path: str | PathLike[str],
        *,
        progress: ProgressCallback = ignore_progress,
        idempotency_key: str | None = None,
    ) -> Job:
        """Submit a job that `Job.export` has written, with the files beside it.

        Raises
        ------
        InvalidRequest
            If the file holds no such thing.
        """
        try:
            spec = msgspec.json.decode(Path(path).read_bytes(), type=SpecView, strict=True)
        except msgspec.DecodeError as exc:
            raise InvalidRequest(f"{path} holds no exported job: {exc}") from exc
        folder = exported_files_folder(Path(path))
        paths = {each.to: folder / each.sha256 for each in spec.files or ()}
        exported = {to: path for to, path in paths.items() if path.is_file()}
        with open_files(exported) as local_files:
            upload_files(self._transport, local_files, progress)
        return self.submit_spec(spec, idempotency_key=idempotency_key)

    def _post_job(self, fields: Mapping[str, Any], key: str | None) -> Job:
        return Job(self._transport, self._post_upload(fields, key, JobView))

    def _post_upload(self, fields: Mapping[str, Any], key: str | None, response_type: type[T]) -> T:
        request: dict[str, Any] = {
            "content": encode_fields(fields),
            "headers": {
                "Content-Type": "application/json",
                "Idempotency-Key": key or uuid.uuid4().hex,
            },
        }
        try:
            return self._transport.call("POST", routes.UPLOAD, response_type, **request)
        except ServerNotFound:
            # The answer may have been lost, not the request: with its key it runs once.
            return self._transport.call("POST", routes.UPLOAD, response_type, **request)
