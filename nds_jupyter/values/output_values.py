"""Output values of a job, downloaded and loaded into the notebook."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import IO, Any

import msgspec

from nds_jupyter.client.job import Job
from nds_jupyter.client.transport import ProgressCallback
from nds_jupyter.errors import InvalidRequest, NdsError, PathNotFound, TooLarge
from nds_jupyter.values import formats
from nds_jupyter.values.bundle import RequestedValue
from nds_jupyter.values.json_codec import NotSerializable

MAX_IN_MEMORY = 2**24
"""Bytes of an encoded value that are kept in memory; a larger one goes to a temporary file."""

OUTPUT_LABEL = "values.out"
"""Label of a job with the names of its output values."""


class OutputValue(msgspec.Struct, frozen=True, kw_only=True):
    """A loaded value, and its size as a file in bytes."""

    value: Any
    size: int


def download_value(
    job: Job,
    requested: RequestedValue,
    *,
    allow_pickle: bool = False,
    max_size: int,
    progress: ProgressCallback | None = None,
) -> OutputValue:
    """Download one output value of a job and load it.

    Raises
    ------
    NdsError
        If there is none of that name, or it can't be read without running what is in it.
    """
    suffixes = (requested.suffix,) if requested.suffix else formats.SUFFIXES
    for suffix in suffixes:
        name = f"{requested.name}{suffix}"
        with tempfile.SpooledTemporaryFile(MAX_IN_MEMORY) as spooled:
            file: Any = spooled
            try:
                size = job.copy_file(name, file, most=max_size, progress=progress)
            except PathNotFound:
                continue
            except TooLarge as exc:
                raise TooLarge(
                    f"--out {requested.name}: {exc} %ndsget {job.id} {name} downloads it, and "
                    "--output leaves it in the data root for other jobs to take by --data."
                ) from exc
            file.seek(0)
            return OutputValue(value=_load(requested.name, suffix, file, allow_pickle), size=size)
    raise PathNotFound(_missing_value_message(job, requested, suffixes))


def _missing_value_message(job: Job, requested: RequestedValue, suffixes: Sequence[str]) -> str:
    files = ", ".join(f"{requested.name}{suffix}" for suffix in suffixes)
    return (
        f"Job {job.id} left no value {requested.name}: there is none of {files} in /results. A "
        "script that is not Python writes its values there itself."
    )


def _load(name: str, suffix: str, file: IO[bytes], allow_pickle: bool) -> Any:
    try:
        return formats.load(suffix, file, allow_pickle)
    except NotSerializable as exc:
        hint = ""
        if suffix == formats.PICKLE:
            hint = " Give --pickle, or allow_pickle=True, if you trust the container."
        elif "is not installed" in str(exc):
            hint = f" Install it in this kernel: %pip install {str(exc).partition(' ')[0]}."
        raise InvalidRequest(f"{name}: {exc}.{hint}") from exc
    except Exception as exc:
        # Whatever a library says of a file that a container wrote: it is not what it should be.
        raise NdsError(f"{name}{suffix} can't be read: {exc}") from exc


def output_names(job: Job) -> tuple[str, ...]:
    """Return the names of a job's output values, as they were written after ``--out``."""
    return tuple(job.view.labels.get(OUTPUT_LABEL, "").split())


def load_value(job: Job, name: str, *, allow_pickle: bool, most: int) -> Any:
    """Return one output value of a job: the implementation of `Job.value`."""
    requested = RequestedValue.parse(name, "value")
    return download_value(job, requested, allow_pickle=allow_pickle, max_size=most).value


def load_values(job: Job, *, allow_pickle: bool, most: int) -> dict[str, Any]:
    """Return every output value of a job by its name: the implementation of `Job.values`."""
    requested = [RequestedValue.parse(name, "--out") for name in output_names(job)]
    return {
        each.name: download_value(job, each, allow_pickle=allow_pickle, max_size=most).value
        for each in requested
    }
