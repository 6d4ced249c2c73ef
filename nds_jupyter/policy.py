"""What a job may ask of an engine: images, limits, networks. Pure."""

from __future__ import annotations

import fnmatch
import re
from pathlib import PurePosixPath

import msgspec

from nds_jupyter.constraints import node_constraints
from nds_jupyter.datapaths import logical_path
from nds_jupyter.dockerfiles import has_base, recipe, requirements_recipe, requirements_text
from nds_jupyter.errors import InvalidRequest, RefusedByPolicy, TooLarge
from nds_jupyter.inputs import GivenFile, Logical, parse_files, parse_inputs, parse_output
from nds_jupyter.jobs import (
    BUILT,
    INTERPRETERS,
    Build,
    JobSpec,
    Limits,
    Network,
    script_facts,
    size_text,
)
from nds_jupyter.sweeps import Sweep

_NAME = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_DOMAIN = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_DOMAIN}/)?{_NAME}(?:/{_NAME})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
"""The grammar of image references in the Docker distribution project, SHA-256 digests only."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_ENV_NAME = re.compile(r"[^=\0]+")

LEAST_MEMORY = 6 * 2**20
"""Bytes; Docker refuses a smaller limit."""


class JobRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of `POST /upload`, decoded but not judged.

    Parameters
    ----------
    script, file
        The script as text, or as bytes (base64 in JSON, an uploaded file in a form).
    memory
        ``512m``, ``2g``, or bytes.
    timeout
        Seconds.
    requirements
        Packages for pip, or the text of a file of them, to be built on top of the image.
    dockerfile
        The text of one, to be built instead; without a FROM it begins from the image.
    retries
        How often the script may be run again when nobody knows how it ended.
    files
        What was sent before by ``PUT /files/{sha256}``; sizes are not read.
    """

    script: str | None = None
    file: bytes | None = None
    scriptname: str | None = None
    image_name: str | None = None
    image_tag: str | None = None
    requirements: tuple[str, ...] | str | None = None
    dockerfile: str | None = None
    data: tuple[str | dict[str, str], ...] | str | None = None
    output: str | None = None
    overwrite: bool = False
    output_on_failure: bool = False
    name: str = ""
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = msgspec.field(default_factory=dict)
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    cpus: float | None = None
    memory: str | int | None = None
    timeout: float | None = None
    network: Network | None = None
    constraint: tuple[str, ...] | str | None = None
    gpus: int = 0
    retries: int = 0
    sweep: Sweep | None = None
    max_concurrent: int | None = None
    files: tuple[GivenFile, ...] = ()


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What an administrator allows, and what a job gets that asks for nothing.

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
        """Whether a full reference matches one of the patterns; what was built is not named."""
        if reference.startswith(f"{BUILT}:"):
            return False
        return any(fnmatch.fnmatchcase(reference, pattern) for pattern in self.allowed_images)


def image_reference(name: str, tag: str | None = None) -> str:
    """Return the full reference of an image.

    Parameters
    ----------
    name
        May carry a tag, a digest, a registry with port; then `tag` must be absent.
    tag
        ``latest`` where neither gives one.

    Raises
    ------
    InvalidRequest
        If the result is no image reference, or the tag is given twice.
    """
    match = _REFERENCE.fullmatch(name)
    if match is None:
        raise InvalidRequest(f"image_name: {name!r} is not the name of an image.")
    if tag is None:
        return name if match["tag"] or match["digest"] else f"{name}:latest"
    if match["tag"] or match["digest"]:
        raise InvalidRequest(
            f"image_tag: leave it out, since image_name {name!r} has a tag or digest already."
        )
    if _REFERENCE.fullmatch(f"{name}:{tag}") is None:
        raise InvalidRequest(f"image_tag: {tag!r} is not a tag.")
    return f"{name}:{tag}"


def parse_size(text: str | int, field: str = "memory") -> int:
    """Return bytes from ``512m``, ``2g``, ``1.5 GiB`` or a number; units are binary."""
    if isinstance(text, int):
        return text
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidRequest(f"{field}: {text!r} is not a size. Write it like 512m or 2g.")
    return int(float(match[1]) * _SIZE_UNITS[match[2].lower()])


def _path_of_a_plain_root(text: str, field: str) -> str:
    return logical_path(text, field=field)


def admit(
    request: JobRequest, policy: Policy, logical: Logical = _path_of_a_plain_root
) -> tuple[JobSpec, bytes]:
    """Judge a request and fill in what it left out.

    Parameters
    ----------
    logical
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
    script = _script(request, policy)
    digest, shebang = script_facts(script)
    image, build = _image_and_build(request, policy)
    inputs = parse_inputs(request.data, logical)
    spec = JobSpec(
        scriptname=_scriptname(request),
        script_sha256=digest,
        script_shebang=shebang,
        image=image,
        build=build,
        limits=_limits(request, policy),
        name=_job_name(request.name),
        command=_command(request),
        args=_no_nul("args", request.args),
        env=_env(request.env),
        labels=_labels(request.labels),
        timeout=_timeout(request, policy),
        network=_network(request, policy),
        constraints=node_constraints(request.constraint, chooses_nodes=policy.chooses_nodes),
        gpus=_gpus(request, policy),
        retries=_retries(request, policy),
        data=inputs,
        files=parse_files(request.files, inputs),
        output=parse_output(request.output, logical),
        overwrite=request.overwrite,
        output_on_failure=request.output_on_failure,
    )
    _check_runnable(spec)
    return spec, script


def _script(request: JobRequest, policy: Policy) -> bytes:
    if (request.script is None) == (request.file is None):
        found = "neither is there" if request.script is None else "both are there"
        raise InvalidRequest(f"script, file: give exactly one of them; {found}.")
    script = request.file if request.script is None else request.script.encode("utf-8")
    if not script:
        raise InvalidRequest("script: it is empty.")
    if len(script) > policy.max_script_bytes:
        raise TooLarge(
            f"The script has {size_text(len(script))}; at most "
            f"{size_text(policy.max_script_bytes)} are allowed. Send large content as data."
        )
    return script


def _scriptname(request: JobRequest) -> str:
    name = "script.py" if request.scriptname is None else request.scriptname
    bad = "/" in name or name in {"", ".", ".."} or any(ord(char) < 32 for char in name)
    if bad or len(name.encode()) > 255:
        raise InvalidRequest(
            f"scriptname: {name!r} is not a file name. Use a plain one, at most 255 bytes."
        )
    return name


def _image(request: JobRequest, policy: Policy) -> str:
    if request.image_name is None and request.image_tag is not None:
        raise InvalidRequest("image_name: missing, though image_tag is there.")
    name = policy.default_image if request.image_name is None else request.image_name
    if not name:
        raise InvalidRequest("image_name: missing, and this server has no default image.")
    return _allowed(image_reference(name, request.image_tag), policy)


def _allowed(reference: str, policy: Policy) -> str:
    if not policy.allows_image(reference):
        raise RefusedByPolicy(
            f"The image {reference} is not allowed here. GET /list_images lists those that are."
        )
    return reference


def _image_and_build(request: JobRequest, policy: Policy) -> tuple[str, Build | None]:
    dockerfile, requirements = request.dockerfile, ""
    if dockerfile is None and request.requirements is None:
        return _image(request, policy), None
    if not policy.allow_builds:
        raise RefusedByPolicy(
            "requirements, dockerfile: this server builds no images. Choose one that has all."
        )
    if dockerfile is None:
        requirements = requirements_text(request.requirements or "")
        read = requirements_recipe(_image(request, policy))
    elif request.requirements is not None:
        raise InvalidRequest("requirements, dockerfile: give one of them; both are there.")
    elif has_base(dockerfile):
        read = recipe(dockerfile)
    else:
        read = recipe(f"FROM {_image(request, policy)}\n{dockerfile}")
    for each in read.images:
        _allowed(image_reference(each), policy)
    network = Network.BRIDGE if Network.BRIDGE in policy.networks else Network.NONE
    build = Build(dockerfile=read.dockerfile, requirements=requirements, network=network)
    return image_reference(read.base), build


def _limits(request: JobRequest, policy: Policy) -> Limits:
    default, most = policy.default_limits, policy.max_limits
    cpus = min(default.cpus, most.cpus) if request.cpus is None else request.cpus
    memory = min(default.memory, most.memory)
    if request.memory is not None:
        memory = parse_size(request.memory)
    if not 0.01 <= cpus < float("inf"):
        raise InvalidRequest(f"cpus: {cpus:g} is not an amount of CPUs; give at least 0.01.")
    if memory < LEAST_MEMORY:
        raise InvalidRequest(f"memory: give at least {size_text(LEAST_MEMORY)}.")
    if cpus > most.cpus:
        raise RefusedByPolicy(f"cpus: {cpus:g} are more than the {most.cpus:g} allowed here.")
    if memory > most.memory:
        raise RefusedByPolicy(
            f"memory: {size_text(memory)} are more than the {size_text(most.memory)} allowed here."
        )
    return Limits(cpus=cpus, memory=memory, pids=default.pids)


def _timeout(request: JobRequest, policy: Policy) -> float | None:
    if request.timeout is None:
        return policy.max_timeout
    if not 0 < request.timeout < float("inf"):
        raise InvalidRequest("timeout: give a positive number of seconds.")
    if policy.max_timeout is not None and request.timeout > policy.max_timeout:
        raise RefusedByPolicy(
            f"timeout: {request.timeout:g} s are more than the {policy.max_timeout:g} s allowed."
        )
    return request.timeout


def _network(request: JobRequest, policy: Policy) -> Network:
    network = policy.default_network if request.network is None else request.network
    if network not in policy.networks:
        raise RefusedByPolicy(f"network: {network.value!r} is not allowed here.")
    return network


def _gpus(request: JobRequest, policy: Policy) -> int:
    if request.gpus < 0:
        raise InvalidRequest("gpus: give a number of GPUs, or none.")
    if request.gpus > policy.max_gpus:
        raise RefusedByPolicy(
            f"gpus: {request.gpus} are more than the {policy.max_gpus} allowed here."
        )
    return request.gpus


def _retries(request: JobRequest, policy: Policy) -> int:
    if request.retries < 0:
        raise InvalidRequest("retries: give a number, or none.")
    if request.retries > policy.max_retries:
        raise RefusedByPolicy(
            f"retries: {request.retries} are more than the {policy.max_retries} allowed here."
        )
    return request.retries


def _command(request: JobRequest) -> tuple[str, ...] | None:
    if request.command is None:
        return None
    if not request.command or not request.command[0]:
        raise InvalidRequest("command: it is empty. Give the program and its arguments.")
    if request.args:
        raise InvalidRequest("args: put them into command, which replaces the whole call.")
    return _no_nul("command", request.command)


def _no_nul(field: str, values: tuple[str, ...]) -> tuple[str, ...]:
    if any("\0" in value for value in values):
        raise InvalidRequest(f"{field}: it holds a NUL character, which no program can be given.")
    return values


def _job_name(name: str) -> str:
    if len(name) > 200 or any(ord(char) < 32 for char in name):
        raise InvalidRequest("name: use at most 200 characters, on one line.")
    return name


def _env(env: dict[str, str]) -> dict[str, str]:
    for name, value in env.items():
        if _ENV_NAME.fullmatch(name) is None or "\0" in value:
            raise InvalidRequest(f"env: {name!r} is not a variable that can be set.")
    return env


def _labels(labels: dict[str, str]) -> dict[str, str]:
    for name in labels:
        if not name or name.startswith("nds.") or "\0" in name or "=" in name:
            raise InvalidRequest(f"labels: {name!r} can't be set; nds. belongs to this server.")
    return labels


def _check_runnable(spec: JobSpec) -> None:
    suffix = PurePosixPath(spec.scriptname).suffix
    if spec.command is None and not spec.script_shebang and suffix not in INTERPRETERS:
        known = " ".join(sorted(INTERPRETERS))
        raise InvalidRequest(
            f"scriptname: nothing says how to run {spec.scriptname!r}. Begin the script with #!, "
            f"give it a known suffix ({known}), or give command."
        )
