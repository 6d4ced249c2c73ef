"""The server extension: the one place where the parts are composed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.extension.application import ExtensionApp

from nds_jupyter._version import __version__
from nds_jupyter.configuration.kernel_environment import export_server_url
from nds_jupyter.configuration.traits import Configuration
from nds_jupyter.errors import NdsError

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from nds_jupyter.data.data_identity import DataIdentity
    from nds_jupyter.data.data_roots import DataRoots
    from nds_jupyter.data.logins import LoginStore
    from nds_jupyter.data.spool import Spool
    from nds_jupyter.engines.base import Engine
    from nds_jupyter.gateway.upstream import UpstreamServer
    from nds_jupyter.journal.journal import JournalThread
    from nds_jupyter.live import Broadcaster
    from nds_jupyter.runner import JobRunner
    from nds_jupyter.services.data_login import DataLogins


class NdsApp(Configuration, ExtensionApp):
    """Runs notebook cells as container jobs."""

    name = "nds_jupyter"
    app_name = "NDS jobs"
    version = __version__
    description = __doc__
    load_other_extensions = True

    _gateway: UpstreamServer | None = None
    _data_identity: DataIdentity
    _data_logins: DataLogins
    _data_roots: DataRoots
    _engine: Engine
    _broadcaster: Broadcaster
    _journal: JournalThread
    _runner: JobRunner
    _data_maintenance: asyncio.Task[None] | None = None
    _spool: Spool

    @property
    def _server(self) -> ServerApp:
        if self.serverapp is None:
            raise RuntimeError("NdsApp is not linked to a Jupyter server.")
        return self.serverapp

    def make_engine(self) -> Engine:
        """Return the engine that the configuration names; nothing talks to it yet."""
        if self.engine_factory is not None:
            engine: Engine = self.engine_factory(self)
            return engine
        from nds_jupyter.engines.auto import auto_engine
        from nds_jupyter.engines.docker.engine import DockerEngine
        from nds_jupyter.engines.swarm.engine import SwarmEngine
        from nds_jupyter.engines.swarm.node_engine import NodeEngine

        url = self.engine_url or None
        bounds: dict[str, Any] = {
            "threads": self.engine_threads,
            "max_streams": self.max_streams,
            "deadline": self.engine_deadline,
        }
        if self.engine == "docker":
            return DockerEngine(url, **bounds)
        if self.engine == "swarm" or self.endpoints:
            return SwarmEngine(url, self.swarm_settings(), **bounds)
        return auto_engine(
            NodeEngine(url, threads=1, deadline=self.engine_deadline),
            lambda: DockerEngine(url, **bounds),
            lambda: SwarmEngine(url, self.swarm_settings(), **bounds),
        )

    def make_data_roots(self, journal: JournalThread) -> DataRoots:
        """Return the data roots that the configuration names; nothing talks to them yet.

        Parameters
        ----------
        journal
            Records partial writes.
        """
        import msgspec
        from jupyter_server.utils import url_path_join

        from nds_jupyter.data.data_root import default_root
        from nds_jupyter.data.data_roots import DataRoots
        from nds_jupyter.journal.journal import JournaledRecords

        url = self.data_root or default_root(self._server.root_dir)
        records = JournaledRecords(journal, url)
        self._data_identity = self.make_data_identity(url)
        head = url_path_join("/", self._server.base_url, self.route_prefix).rstrip("/")
        settings = msgspec.structs.replace(self.data_root_settings(), url_head=head)
        return DataRoots(self._data_identity, settings, records)

    def make_data_identity(self, url: str) -> DataIdentity:
        """Return the rule that says whose account the data root at a URL is opened with."""
        from nds_jupyter.data.data_identity import OwnIdentity, ProxyIdentity, ServerIdentity

        if self.data_identity == "proxy":
            return ProxyIdentity(url, self.irods_user_of)
        if self.data_identity == "own":
            return OwnIdentity(url, self.make_login_store())
        return ServerIdentity(url)

    def make_login_store(self) -> LoginStore:
        """Return the store of owners' logins; for this server's journal alone."""
        try:
            from nds_jupyter.data.logins import LoginStore
        except ImportError as exc:
            raise ValueError(
                "c.NdsApp.data_identity is own: logins are kept encrypted, by the package "
                "cryptography. Install nds-jupyter[login], or cryptography."
            ) from exc
        return LoginStore(Path(self.journal_dir, "logins", self._journal.server_id))

    def make_spool(self, server_id: str) -> Spool:
        """Return the spool of files that are sent with jobs; for this server's journal alone."""
        from nds_jupyter.data.spool import Spool

        folder = self.files_dir or Path(self.journal_dir, "files")
        return Spool(Path(folder, server_id), self.spool_limits())

    def initialize_settings(self) -> None:
        """Make the services of this server, or the client of the upstream server that has them."""
        if self.gateway_url:
            self._initialize_gateway()
        else:
            self._initialize_runner()
            self._initialize_services()
        self._publish_url()

    def _initialize_gateway(self) -> None:
        """Make the client of the server that runs the jobs."""
        from nds_jupyter.gateway.proxy_handlers import GATEWAY_KEY, PREFIX_KEY
        from nds_jupyter.gateway.upstream import UpstreamServer

        self._gateway = UpstreamServer.from_url(self.gateway_url, self.gateway_token)
        self.settings[GATEWAY_KEY] = self._gateway
        self.settings[PREFIX_KEY] = self.route_prefix
        self.log.info("Jobs are passed on to %s.", self.gateway_url)

    def _initialize_runner(self) -> None:
        """Open the journal, and make the engine, the data roots, the spool and the runner."""
        from nds_jupyter.journal import Journal
        from nds_jupyter.journal.journal import JournalThread
        from nds_jupyter.runner import JobRunner

        self._engine = self.make_engine()
        self._journal = JournalThread(Journal.open(Path(self.journal_dir)))
        self._data_roots = self.make_data_roots(self._journal)
        self._spool = self.make_spool(self._journal.server_id)
        self._runner = JobRunner(
            self._journal,
            self._engine,
            self.runner_settings(),
            self.log,
            self._data_roots,
            self._spool,
        )

    def _initialize_services(self) -> None:
        """Make the services that the handlers call."""
        from nds_jupyter.handlers.base_handler import SETTINGS_KEY, Services
        from nds_jupyter.live import Broadcaster
        from nds_jupyter.services.container_info import ContainerInfo
        from nds_jupyter.services.data_login import DataLogins
        from nds_jupyter.services.job_actions import JobActions
        from nds_jupyter.services.job_logs import JobLogs
        from nds_jupyter.services.job_results import JobResults, SelectionDelivery
        from nds_jupyter.services.sent_files import SentFiles
        from nds_jupyter.services.server_status import EngineLoad, HealthChecks
        from nds_jupyter.services.target_lookup import TargetLookup

        engine, journal, runner, data_roots = (
            self._engine,
            self._journal,
            self._runner,
            self._data_roots,
        )
        self._data_logins = DataLogins(
            self._data_identity, data_roots, self.irods_user_of, self.data_login_hours
        )
        policy, every = self.policy(), self.all_containers
        lookup = TargetLookup(runner, journal, engine, all_containers=every)
        files = SentFiles(self._spool, engine)
        load, logs = EngineLoad(runner, engine), JobLogs(runner, journal, engine)
        results = JobResults(engine, journal)
        self._broadcaster = Broadcaster(
            lookup.find_job, logs.stream_job_lines, load.measure, self.log
        )
        runner.add_listener(self._broadcaster)
        self.settings[SETTINGS_KEY] = Services(
            actions=JobActions(runner, journal, engine, lookup, policy, data_roots, files),
            broadcaster=self._broadcaster,
            containers=ContainerInfo(runner, journal, engine, lookup, policy, all_containers=every),
            data_logins=self._data_logins,
            data_roots=data_roots,
            delivery=SelectionDelivery(engine, results),
            engine=engine,
            health=HealthChecks(engine, journal, data_roots),
            journal=journal,
            load=load,
            logs=logs,
            lookup=lookup,
            results=results,
            spool=self._spool,
            owner_of=self.owner_of,
            openapi=self.openapi,
            prefix=self.route_prefix,
        )

    def _publish_url(self) -> None:
        """Put the URL of the routes into JupyterLab's page configuration."""
        from jupyter_server.utils import url_path_join

        server = self._server
        page_config = server.web_app.settings.setdefault("page_config_data", {})
        page_config["ndsUrl"] = url_path_join(server.base_url, self.route_prefix)

    def initialize_handlers(self) -> None:
        """Add the routes."""
        from nds_jupyter.gateway.proxy_handlers import proxy_rules
        from nds_jupyter.handlers import url_rules

        rules = proxy_rules if self.gateway_url else url_rules
        self.handlers.extend(rules(self.route_prefix))

    def openapi(self) -> dict[str, object]:
        """Return the OpenAPI document."""
        from nds_jupyter.rest.openapi import openapi_document

        return openapi_document(self.route_prefix)

    def owner_of(self, user: Any) -> str:
        """Return the owner whose jobs a request's user sees.

        A server with only a token or password makes up an anonymous user per request; there, and
        in a single-user server of JupyterHub, every job belongs to `owner`.
        """
        from jupyter_server.auth import identity

        anonymous = (
            identity.IdentityProvider,
            identity.PasswordIdentityProvider,
            identity.LegacyIdentityProvider,
        )
        makes_up_users = type(self._server.identity_provider) in anonymous
        if makes_up_users or os.environ.get("JUPYTERHUB_USER"):
            return str(self.owner)
        return str(user.username)

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        """Resume jobs, and export the server's URL to kernels: only now is its port known."""
        export_server_url(os.environ, serverapp, self.route_prefix)
        if self._gateway is not None:
            return
        try:
            await self._data_roots.start()
        except NdsError as exc:
            self.log.warning("The data root can't be made: %s", exc)
        self._data_maintenance = asyncio.create_task(self._data_roots.maintain())
        try:
            await self._spool.remove_partial_files()
        except NdsError as exc:
            self.log.warning("What a killed server left of files can't be removed: %s", exc)
        await self._runner.start()

    async def stop_extension(self) -> None:
        """Leave the jobs running, and close what this process holds."""
        if self._gateway is not None:
            await self._gateway.close()
            return
        if self._data_maintenance is not None:
            self._data_maintenance.cancel()
        await self._broadcaster.close()
        await self._runner.close()
        await self._engine.close()
        await self._data_logins.close()
        await self._data_roots.close()
        await self._spool.close()
        self._journal.close()
