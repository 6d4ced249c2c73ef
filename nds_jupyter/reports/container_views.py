"""From what an engine says of images and containers to the JSON of the REST API. Pure."""

from __future__ import annotations

import msgspec

from nds_jupyter.engine_views import ContainerView, ImageView, MountView
from nds_jupyter.engines.base import LABEL_JOB, LABEL_OWNER, Container, ContainerSummary, Image
from nds_jupyter.jobs import Job
from nds_jupyter.scripts import command_line, interpreter_candidates


def image_views(image: Image) -> list[ImageView]:
    """Return a row for each name of an image."""
    views = []
    for reference in image.references:
        name, _, tag = reference.rpartition(":")
        views.append(
            ImageView(
                name=name,
                tag=tag,
                id=image.id,
                size=image.size,
                created=image.created,
                workers=image.workers,
            )
        )
    return views


def absent_image(reference: str) -> ImageView:
    """Return the row of an image that a pull would bring."""
    name, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag:
        name, tag = reference, "latest"
    return ImageView(name=name, tag=tag, id="", size=0, created=None, present=False)


def container_view(container: Container) -> ContainerView:
    """Describe a container as its engine knows it."""
    return ContainerView(
        id=container.id,
        name=container.name,
        image=container.image,
        command=container.command,
        state=container.state.value,
        status=_status_of(container),
        exit_code=container.exit_code,
        created=container.created,
        started=container.started,
        finished=container.finished,
        limits=container.limits,
        mounts=msgspec.convert(container.mounts, tuple[MountView, ...], from_attributes=True),
        labels=container.labels,
        worker=container.worker,
        job_id=container.labels.get(LABEL_JOB, ""),
        owner=container.labels.get(LABEL_OWNER, ""),
        last_used=container.finished or container.started or container.created,
        note=container.out_of_reach,
    )


def _status_of(container: Container) -> str:
    if container.exit_code is not None and container.finished is not None:
        return f"{container.state.value} ({container.exit_code})"
    return container.state.value


def view_from_record(summary: ContainerSummary, job: Job) -> ContainerView:
    """Describe a container from the journal: an inspection of each would take seconds."""
    return ContainerView(
        id=summary.id,
        name=summary.name,
        image=summary.image,
        command=command_line(job.spec, next(iter(interpreter_candidates(job.spec)), None)),
        state=summary.state.value,
        status=summary.status,
        exit_code=job.exit_code,
        created=summary.created,
        started=job.started,
        finished=job.ended,
        limits=job.spec.limits,
        mounts=(),
        labels=summary.labels,
        worker=summary.worker,
        job_id=job.job_id,
        owner=job.owner,
        last_used=job.ended or job.started or summary.created,
    )
