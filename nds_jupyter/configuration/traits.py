"""Traits that configure the server extension and a Swarm, and the settings made from them."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_data_dir
from traitlets import (
    Bool,
    Callable,
    Enum,
    Float,
    HasTraits,
    Integer,
    List,
    TraitError,
    Unicode,
    default,
    validate,
)

from nds_jupyter.admission.image_references import image_reference
from nds_jupyter.admission.policy import Policy
from nds_jupyter.configuration.kernel_environment import configured_url
from nds_jupyter.data.data_roots import DataRootSettings
from nds_jupyter.data.spool import SpoolLimits
from nds_jupyter.engines.swarm.engine import SwarmSettings
from nds_jupyter.errors import InvalidRequest
from nds_jupyter.jobs.byte_sizes import parse_size
from nds_jupyter.jobs.job import Limits, Network
from nds_jupyter.rest import routes
from nds_jupyter.runner.runner_settings import RunnerSettings


class SwarmConfiguration(HasTraits):
    """The traits of `NdsApp` that choose between one engine and a Swarm, and say how it is used."""

    engine = Enum(
        ["auto", "docker", "swarm"],
        "auto",
        help="What runs the jobs: one Docker Engine, or a Docker Swarm. auto: a Swarm if the "
        "engine is a manager of one with more than one active node, else that engine alone.",
    ).tag(config=True)
    endpoints = List(
        Unicode(),
        help="The Docker Engines of a Swarm's nodes: unix://, ssh:// or tcp:// URLs, or names of "
        "Docker contexts. They are matched to the nodes by NodeID; several managers are tried in "
        "turn. What runs on a node that is not named here can only be asked of the manager.",
    ).tag(config=True)
    endpoint_certificates = Unicode(
        "",
        help="Folder with ca.pem, cert.pem and key.pem for tcp:// endpoints. A context brings its "
        "own.",
    ).tag(config=True)
    constraints = List(
        Unicode(),
        help="What every job's node must fulfil, in Swarm's words: node.role==worker.",
    ).tag(config=True)
    gpu_resource = Unicode(
        "gpu", help="What the nodes call a GPU in node-generic-resources of their daemon.json."
    ).tag(config=True)
    max_gpus = Integer(0, min=0, help="The most GPUs a job may ask for.").tag(config=True)
    max_retries = Integer(
        10,
        min=0,
        help="The most times that a job may ask to be run again when its node or container was "
        "lost.",
    ).tag(config=True)
    node_deadline = Float(
        3.0,
        min=0.1,
        help="Seconds after which a node that says nothing is left out of an answer about all.",
    ).tag(config=True)
    node_lost_after = Float(
        30.0,
        min=0,
        help="Seconds for which a node may be down before a job that ran there is FAILED.",
    ).tag(config=True)

    stager_image = Unicode(
        "",
        help="Image of a helper container that fetches inputs from iRODS on the job's own node of "
        "a Swarm, so that they do not pass through this server; docs/swarm.md says how to build "
        "it. It is given the account of the data root, as a Swarm secret that is removed "
        "afterwards. Empty: inputs pass through this server.",
    ).tag(config=True)

    def swarm_settings(self) -> SwarmSettings:
        """Return the settings of a Swarm."""
        return SwarmSettings(
            endpoints=tuple(self.endpoints),
            certificates=self.endpoint_certificates,
            constraints=tuple(self.constraints),
            gpu_resource=self.gpu_resource,
            node_deadline=self.node_deadline,
            lost_after=self.node_lost_after,
        )


UNBOUNDED = 2**62
"""Bytes of memory where the administrator sets no bound."""


class Configuration(SwarmConfiguration):
    """The traits of `NdsApp`: `c.NdsApp.… = …` in `jupyter_server_config.py`."""

    engine_url = Unicode(
        "",
        help="URL of the Docker Engine: unix://, tcp:// or ssh://. Empty: DOCKER_HOST, else the "
        "current Docker context, else the default socket.",
    ).tag(config=True)
    engine_factory = Callable(
        None,
        allow_none=True,
        help="Called with the application; returns an engine of your own, any object that keeps "
        "to nds_jupyter.engines.base.Engine, which then takes the place of the one that the other "
        "engine traits describe.",
    ).tag(config=True)
    engine_threads = Integer(
        8, min=1, help="Calls to the engine at one time; more wait. Raise it for many users."
    ).tag(config=True)
    max_streams = Integer(
        64,
        min=1,
        help="Logs and archives read from the engine at one time; more get 503. Each takes a "
        "thread.",
    ).tag(config=True)
    engine_deadline = Float(
        30.0, min=0.1, help="Seconds for one call to the engine. Raise it for a slow ssh:// engine."
    ).tag(config=True)
    data_root = Unicode(
        "",
        help="Where the data is: any URL that fsspec knows, or a folder. {owner} in it stands for "
        "the owner, so that each has a part of their own. Empty: irods:// where an iRODS "
        "environment is found, else the folder nds-data in the server's root.",
    ).tag(config=True)
    data_identity = Enum(
        ["server", "proxy", "own"],
        "server",
        help="Whose account the data root is opened with. server: this server's, for every owner. "
        "proxy: this server's, a rodsadmin of an iRODS zone that acts for each owner as that "
        "owner's iRODS user. own: each owner's, who logs in by %ndslogin; the server keeps the "
        "login, encrypted.",
    ).tag(config=True)
    data_user = Callable(
        None,
        allow_none=True,
        help="Called with an owner; returns the owner's iRODS user, or None where there is none. "
        "Default: the user has the owner's name. A dict's get will do, where the names differ.",
    ).tag(config=True)
    data_login_hours = Integer(
        168,
        min=1,
        help="Hours after which an owner must log in to the data root again (data_identity own). "
        "What the zone gives for a PAM password lasts as long, if the zone allows it.",
    ).tag(config=True)
    data_owners = Integer(
        32,
        min=1,
        help="Owners whose connections to the data root are kept open while they are idle, at most "
        "8 each; those of who used theirs least recently are closed first.",
    ).tag(config=True)
    data_idle = Float(
        240.0,
        min=1,
        help="Seconds after which the idle connections of an owner to the data root are closed.",
    ).tag(config=True)
    data_threads = Integer(
        8,
        min=1,
        help="Calls to the data root at one time, of all owners; more wait. Raise it for many "
        "users.",
    ).tag(config=True)
    data_deadline = Float(
        30.0, min=0.1, help="Seconds for one call to the data root; large objects get more."
    ).tag(config=True)
    data_retries = Integer(
        3,
        min=0,
        help="How often a connection that drops in the middle of an object is taken up again.",
    ).tag(config=True)
    max_inputs = Integer(
        100_000,
        min=1,
        help="Collections and objects that the inputs of one job may be; their list is in memory.",
    ).tag(config=True)
    route_prefix = Unicode(
        routes.PREFIX,
        help="Where the routes live under the server's base URL; empty serves them at its root.",
    ).tag(config=True)
    gateway_url = Unicode(
        help="Base URL of another Jupyter server that runs the jobs: this one then has no engine, "
        "and passes requests on. Default: NDS_URL, if it was set before this server was started.",
    ).tag(config=True)
    gateway_token = Unicode(
        help="This server's token there; whoever may use this server acts with it. Default: "
        "NDS_TOKEN, else JUPYTERHUB_API_TOKEN, else from a runtime file of this account.",
    ).tag(config=True)
    owner = Unicode(
        help="Whose jobs these are where the server does not know its users (token or password "
        "only). Default: JUPYTERHUB_USER, else the account the server runs as.",
    ).tag(config=True)
    all_containers = Bool(
        False, help="Show every container of the engine in the reading routes, to every user."
    ).tag(config=True)
    journal_dir = Unicode(
        help="Folder of the journal of jobs. Default: nds in the Jupyter data folder."
    ).tag(config=True)
    default_image = Unicode(
        "python:3.11-slim", help="Image of a job that names none. Empty: a job must name one."
    ).tag(config=True)
    allowed_images = List(
        Unicode(),
        ["*"],
        help="Shell patterns over full references (name:tag); a job's image must match one. The "
        "ones without * ? [ are listed also before they are pulled.",
    ).tag(config=True)
    allow_builds = Bool(
        True,
        help="Whether a job may have an image built on top of an allowed one, by requirements or a "
        "Dockerfile. Its steps run as root of a container with the engine's usual capabilities.",
    ).tag(config=True)
    default_cpus = Float(1.0, min=0.01, help="CPUs of a job that asks for none.").tag(config=True)
    max_cpus = Float(
        float("inf"), help="The most CPUs a job may ask for. Default: no bound but the engine's."
    ).tag(config=True)
    default_memory = Unicode("2g", help="Memory of a job that asks for none: 512m, 2g.").tag(
        config=True
    )
    max_memory = Unicode("", help="The most memory a job may ask for; empty for no bound.").tag(
        config=True
    )
    pids_limit = Integer(
        512, min=2, help="Processes and threads of one job, so that none can exhaust the kernel."
    ).tag(config=True)
    default_network = Enum(
        ["bridge", "none"], "bridge", help="Network of a job that asks for none."
    ).tag(config=True)
    networks = List(
        Enum(["bridge", "none"]),
        ["bridge", "none"],
        help="Networks that a job may ask for. ['none'] keeps jobs off the network.",
    ).tag(config=True)
    max_timeout = Float(
        None, allow_none=True, help="The longest time limit, in seconds; every job then has one."
    ).tag(config=True)
    max_script_bytes = Integer(
        2**20,
        min=1,
        help="Bytes of a script at most. Cells with --in and --out take up to 160 KiB with what "
        "carries their values.",
    ).tag(config=True)
    max_file_bytes = Integer(
        2 * 2**30,
        min=1,
        help="Bytes of a file that is sent with a job at most: a value of a notebook, or a local "
        "file. Larger ones belong into the data root.",
    ).tag(config=True)
    max_files_bytes = Integer(
        20 * 2**30,
        min=1,
        help="Bytes of all files of one owner that were sent with jobs and are still kept.",
    ).tag(config=True)
    keep_files_hours = Float(
        24.0,
        min=0,
        help="Hours for which a file that was sent with a job is kept after its last use, for "
        "jobs that need it again; while a job is under way it is always kept.",
    ).tag(config=True)
    files_dir = Unicode(
        "",
        help="Folder of the files that were sent with jobs. Empty: files in journal_dir; name a "
        "local disk where that is a small network home.",
    ).tag(config=True)
    max_running = Integer(
        0, min=0, help="Jobs that run at once; more queue. 0: one per CPU of the engine."
    ).tag(config=True)
    keep_days = Float(
        30.0, min=0, help="Days for which the container of a finished job is kept."
    ).tag(config=True)
    keep_jobs = Integer(
        1000, min=0, help="Finished jobs whose containers are kept at most, newest first."
    ).tag(config=True)
    keep_interval = Float(
        600.0,
        min=1,
        help="Seconds between two looks for what is no longer kept. Fewer where so many jobs end "
        "meanwhile that their containers fill the disk, or the record of a Swarm.",
    ).tag(config=True)
    keep_log_bytes = Integer(
        2**20, min=0, help="Bytes of the end of a log that outlive its container."
    ).tag(config=True)
    stop_grace = Float(
        10.0, min=0, help="Seconds between asking a script to end and killing it."
    ).tag(config=True)

    @default("gateway_url")
    def _default_gateway_url(self) -> str:
        return configured_url(os.environ)

    @default("gateway_token")
    def _default_gateway_token(self) -> str:
        return os.environ.get("NDS_TOKEN") or os.environ.get("JUPYTERHUB_API_TOKEN", "")

    @default("owner")
    def _default_owner(self) -> str:
        return os.environ.get("JUPYTERHUB_USER") or getpass.getuser()

    @default("journal_dir")
    def _default_journal_dir(self) -> str:
        return str(Path(jupyter_data_dir(), "nds"))

    @validate("default_memory", "max_memory")
    def _valid_size(self, proposal: Any) -> str:
        text = str(proposal.value)
        try:
            if text:
                parse_size(text, proposal.trait.name)
        except InvalidRequest as exc:
            raise TraitError(exc.message) from exc
        return text

    def policy(self) -> Policy:
        """Return the admission policy."""
        memory = parse_size(self.default_memory, "default_memory")
        most = parse_size(self.max_memory, "max_memory") if self.max_memory else UNBOUNDED
        return Policy(
            default_image=image_reference(self.default_image) if self.default_image else "",
            allowed_images=tuple(self.allowed_images),
            default_limits=Limits(cpus=self.default_cpus, memory=memory, pids=self.pids_limit),
            max_limits=Limits(cpus=self.max_cpus, memory=most, pids=self.pids_limit),
            default_network=Network(self.default_network),
            networks=tuple(map(Network, self.networks)),
            max_timeout=self.max_timeout,
            max_script_bytes=self.max_script_bytes,
            max_gpus=self.max_gpus,
            max_retries=self.max_retries,
            chooses_nodes=self.engine != "docker",
            allow_builds=self.allow_builds,
        )

    def spool_limits(self) -> SpoolLimits:
        """Return the limits of the spool of sent files."""
        return SpoolLimits(
            max_file_bytes=self.max_file_bytes,
            max_owner_bytes=self.max_files_bytes,
            retention=self.keep_files_hours * 3600,
        )

    def irods_user_of(self, owner: str) -> str | None:
        """Return the iRODS user of an owner; None where there is none."""
        user_of: Any = self.data_user
        return owner if user_of is None else user_of(owner)

    def data_root_settings(self) -> DataRootSettings:
        """Return the settings of data roots."""
        return DataRootSettings(
            threads=self.data_threads,
            deadline=self.data_deadline,
            retries=self.data_retries,
            max_owners=self.data_owners,
            max_idle=self.data_idle,
        )

    def runner_settings(self) -> RunnerSettings:
        """Return the settings of the runner."""
        return RunnerSettings(
            max_running=self.max_running,
            keep_days=self.keep_days,
            keep_jobs=self.keep_jobs,
            keep_interval=self.keep_interval,
            keep_log_bytes=self.keep_log_bytes,
            grace=self.stop_grace,
            most_inputs=self.max_inputs,
            stager_image=self.stager_image,
        )
