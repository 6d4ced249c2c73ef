"""Admission policy: the images, limits, networks and nodes that a request may ask for. Pure."""

from __future__ import annotations

import fnmatch
import re
from pathlib import PurePosixPath

import msgspec

from nds_jupyter.admission.dockerfiles import (
    has_from,
    parse_dockerfile,
    requirements_dockerfile,
    requirements_text,
)
from nds_jupyter.admission.image_references import image_reference
from nds_jupyter.admission.job_request import (
    JobRequest,
    checked_command,
    checked_env,
    checked_labels,
    checked_name,
    checked_scriptname,
    without_nul,
)
from nds_jupyter.errors import InvalidRequest, RefusedByPolicy, TooLarge
from nds_jupyter.jobs.byte_sizes import parse_size, size_text
from nds_jupyter.jobs.inputs import PathResolver, parse_files, parse_inputs, parse_output
from nds_jupyter.jobs.job import BUILT_IMAGE_NAME, BuildSpec, JobSpec, Limits, Network
from nds_jupyter.jobs.logical_paths import logical_path
from nds_jupyter.jobs.parameter_sweep import SweepPoint, point_name, sweep_environment, sweep_points
from nds_jupyter.jobs.script import INTERPRETERS, inspect_script

_CONSTRAINT = re.compile(
    r"(?:node\.(?:id|hostname|role|platform\.(?:os|arch)|labels\.[A-Za-z0-9][A-Za-z0-9._-]*)"
    r"|engine\.labels\.[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:==|!=)\s*[A-Za-z0-9][A-Za-z0-9 ._:/+-]*"
)
"""SwarmKit's ``manager/constraint/constraint.go``."""


def parse_constraints(
    given: tuple[str, ...] | str | None, *, chooses_nodes: bool
) -> tuple[str, ...]:
    """Parse and check placement constraints.

    Parameters
    ----------
    given
        Constraints; a text has one a line.
    chooses_nodes
        Whether there may be several nodes.

    Raises
    ------
    InvalidRequest
        If one is no constraint.
    RefusedByPolicy
        If this server runs jobs on one engine.
    """
    lines = given.splitlines() if isinstance(given, str) else given or ()
    wanted = tuple(filter(None, map(str.strip, lines)))
    for each in wanted:
        if _CONSTRAINT.fullmatch(each) is None:
            raise InvalidRequest(
                f"constraint: {each!r} is none. Write it like node.labels.gpu==true or "
                "node.hostname!=node1."
            )
    if wanted and not chooses_nodes:
        raise RefusedByPolicy(
            "constraint: this server runs jobs on one engine, so there is no node to choose."
        )
    return wanted


MIN_MEMORY = 6 * 2**20
"""Bytes; Docker refuses a smaller limit."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What an administrator allows, and the defaults of a job.

    Parameters
    ----------
    allowed_images
        Shell patterns over full references (``name:tag``); a job's image must match one.
    max_limits
        The most that a job may ask for.
    max_timeout
        Seconds; None for no bound. A job that asks for none then gets this one.
    max_script_bytes
        Bytes of the script.
    chooses_nodes
        Whether there may be several nodes, between which a job's constraints choose.
    allow_builds
        Whether a job may have an image built.
    """

    default_image: str
    allowed_images: tuple[str, ...]
    default_limits: Limits
    max_limits: Limits
    default_network: Network
    networks: tuple[Network, ...]
    max_timeout: float | None
    max_script_bytes: int
    max_gpus: int = 0
    max_retries: int = 10
    chooses_nodes: bool = False
    allow_builds: bool = True

    def allows_image(self, reference: str) -> bool:
        """Return whether a full reference matches one of the patterns; built images never do."""
        if reference.startswith(f"{BUILT_IMAGE_NAME}:"):
            return False
        return any(fnmatch.fnmatchcase(reference, pattern) for pattern in self.allowed_images)


def _plain_path(text: str, field: str) -> str:
    return logical_path(text, field=field)


def admit(
    request: JobRequest, policy: Policy, resolve_path: PathResolver = _plain_path
) -> tuple[JobSpec, bytes]:
    """Check a request against the policy and fill in the defaults.

    Parameters
    ----------
    resolve_path
        Makes a path of the data root from a path or URL.

    Returns
    -------
    tuple
        The job's specification, and its script.

    Raises
    ------
    InvalidRequest
        If a field is malformed, or the script is given twice or not at all.
    RefusedByPolicy
        If it asks for an image, limit or network that is not allowed.
    TooLarge
        If the script is too long.
    """
    script = _read_script(request, policy)
    digest, shebang = inspect_script(script)
    image, build = _choose_image_and_build(request, policy)
    inputs = parse_inputs(request.data, resolve_path)
    spec = JobSpec(
        scriptname=checked_scriptname(request),
        script_sha256=digest,
        script_shebang=shebang,
        image=image,
        build=build,
        limits=_choose_limits(request, policy),
        name=checked_name(request.name),
        command=checked_command(request),
        args=without_nul("args", request.args),
        env=checked_env(request.env),
        labels=checked_labels(request.labels),
        timeout=_choose_timeout(request, policy),
        network=_choose_network(request, policy),
        constraints=parse_constraints(request.constraint, chooses_nodes=policy.chooses_nodes),
        gpus=_check_gpus(request, policy),
        retries=_check_retries(request, policy),
        data=inputs,
        files=parse_files(request.files, inputs),
        output=parse_output(request.output, resolve_path),
        overwrite=request.overwrite,
        output_on_failure=request.output_on_failure,
    )
    _check_runnable(spec)
    return spec, script


def _read_script(request: JobRequest, policy: Policy) -> bytes:
    if (request.script is None) == (request.file is None):
        found = "neither is there" if request.script is None else "both are there"
        raise InvalidRequest(f"script, file: give exactly one of them; {found}.")
    script = request.file if request.script is None else request.script.encode("utf-8")
    if not script:
        raise InvalidRequest("script: it is empty.")
    if len(script) > policy.max_script_bytes:
        raise TooLarge(
            f"The script has {size_text(len(script))}; at most "
            f"{size_text(policy.max_script_bytes)} are allowed (c.NdsApp.max_script_bytes). Send "
            "large content as data."
        )
    return script


def _choose_image(request: JobRequest, policy: Policy) -> str:
    if request.image_name is None and request.image_tag is not None:
        raise InvalidRequest("image_name: missing, though image_tag is there.")
    name = policy.default_image if request.image_name is None else request.image_name
    if not name:
        raise InvalidRequest("image_name: missing, and this server has no default image.")
    return _require_allowed(image_reference(name, request.image_tag), policy)


def _require_allowed(reference: str, policy: Policy) -> str:
    if not policy.allows_image(reference):
        raise RefusedByPolicy(
            f"The image {reference} is not allowed here. GET /list_images lists those that are."
        )
    return reference


def _choose_image_and_build(request: JobRequest, policy: Policy) -> tuple[str, BuildSpec | None]:
    dockerfile, requirements = request.dockerfile, ""
    if dockerfile is None and request.requirements is None:
        return _choose_image(request, policy), None
    if not policy.allow_builds:
        raise RefusedByPolicy(
            "requirements, dockerfile: this server builds no images. Choose one that has all."
        )
    if dockerfile is None:
        requirements = requirements_text(request.requirements or "")
        read = requirements_dockerfile(_choose_image(request, policy))
    elif request.requirements is not None:
        raise InvalidRequest("requirements, dockerfile: give one of them; both are there.")
    elif has_from(dockerfile):
        read = parse_dockerfile(dockerfile)
    else:
        read = parse_dockerfile(f"FROM {_choose_image(request, policy)}\n{dockerfile}")
    for each in read.images:
        _require_allowed(image_reference(each), policy)
    network = Network.BRIDGE if Network.BRIDGE in policy.networks else Network.NONE
    build = BuildSpec(dockerfile=read.dockerfile, requirements=requirements, network=network)
    return image_reference(read.base), build


def _choose_limits(request: JobRequest, policy: Policy) -> Limits:
    default, most = policy.default_limits, policy.max_limits
    cpus = min(default.cpus, most.cpus) if request.cpus is None else request.cpus
    memory = min(default.memory, most.memory)
    if request.memory is not None:
        memory = parse_size(request.memory, "memory")
    if not 0.01 <= cpus < float("inf"):
        raise InvalidRequest(f"cpus: {cpus:g} is not an amount of CPUs; give at least 0.01.")
    if memory < MIN_MEMORY:
        raise InvalidRequest(f"memory: give at least {size_text(MIN_MEMORY)}.")
    if cpus > most.cpus:
        raise RefusedByPolicy(f"cpus: {cpus:g} are more than the {most.cpus:g} allowed here.")
    if memory > most.memory:
        raise RefusedByPolicy(
            f"memory: {size_text(memory)} are more than the {size_text(most.memory)} allowed here."
        )
    return Limits(cpus=cpus, memory=memory, pids=default.pids)


def _choose_timeout(request: JobRequest, policy: Policy) -> float | None:
    if request.timeout is None:
        return policy.max_timeout
    if not 0 < request.timeout < float("inf"):
        raise InvalidRequest("timeout: give a positive number of seconds.")
    if policy.max_timeout is not None and request.timeout > policy.max_timeout:
        raise RefusedByPolicy(
            f"timeout: {request.timeout:g} s are more than the {policy.max_timeout:g} s allowed."
        )
    return request.timeout


def _choose_network(request: JobRequest, policy: Policy) -> Network:
    network = policy.default_network if request.network is None else request.network
    if network not in policy.networks:
        raise RefusedByPolicy(f"network: {network.value!r} is not allowed here.")
    return network


def _check_gpus(request: JobRequest, policy: Policy) -> int:
    if request.gpus < 0:
        raise InvalidRequest("gpus: give a number of GPUs, or none.")
    if request.gpus > policy.max_gpus:
        raise RefusedByPolicy(
            f"gpus: {request.gpus} are more than the {policy.max_gpus} allowed here."
        )
    return request.gpus


def _check_retries(request: JobRequest, policy: Policy) -> int:
    if request.retries < 0:
        raise InvalidRequest("retries: give a number, or none.")
    if request.retries > policy.max_retries:
        raise RefusedByPolicy(
            f"retries: {request.retries} are more than the {policy.max_retries} allowed here."
        )
    return request.retries


def _check_runnable(spec: JobSpec) -> None:
    suffix = PurePosixPath(spec.scriptname).suffix
    if spec.command is None and not spec.script_shebang and suffix not in INTERPRETERS:
        known = " ".join(sorted(INTERPRETERS))
        raise InvalidRequest(
            f"scriptname: nothing says how to run {spec.scriptname!r}. Begin the script with #!, "
            f"give it a known suffix ({known}), or give command."
        )


def admit_all(
    request: JobRequest, policy: Policy, resolve_path: PathResolver = _plain_path
) -> tuple[tuple[JobSpec, ...], bytes]:
    """Admit a request: one specification for each point of its sweep, or one without a sweep.

    Raises
    ------
    NdsError
        What `policy.admit` raises, and `InvalidRequest` or `TooLarge` for a sweep that is none.
    """
    spec, script = admit(request, policy, resolve_path)
    if request.sweep is None:
        if request.max_concurrent is not None:
            raise InvalidRequest("max_concurrent: it belongs to a sweep, and there is none.")
        return (spec,), script
    points = sweep_points(request.sweep, request.max_concurrent)
    return tuple(_spec_of_point(spec, point) for point in points), script


def _spec_of_point(spec: JobSpec, point: SweepPoint) -> JobSpec:
    return msgspec.structs.replace(
        spec,
        sweep=point,
        # Each point's results have a collection of their own.
        output=None if spec.output is None else f"{spec.output.rstrip('/')}/{point.index:05d}",
        name=point_name(spec.name, point.values),
        env={**spec.env, **sweep_environment(point)},
    )
