"""The server extension: the one place where the parts are put together."""

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

    from nds_jupyter.data.data_root import DataRoot
    from nds_jupyter.data.spool import Spool
    from nds_jupyter.engines.base import Engine
    from nds_jupyter.gateway.upstream import UpstreamServer
    from nds_jupyter.journal.journal import JournalThread
    from nds_jupyter.live import Broadcaster
    from nds_jupyter.runner import JobRunner


class NdsApp(Configuration, ExtensionApp):
    """Runs notebook cells as container jobs."""

    name = "nds_jupyter"
    app_name = "NDS jobs"
    version = __version__
    description = __doc__
    load_other_extensions = True

    _gateway: UpstreamServer | None = None
    _data: DataRoot
    _engine: Engine
    _broadcaster: Broadcaster
    _journal: JournalThread
    _runner: JobRunner
    _partial_write_cleanup: asyncio.Task[None] | None = None
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

    def make_data_root(self, journal: JournalThread) -> DataRoot:
        """Return the data root that the configuration names; nothing talks to it yet.

        Parameters
        ----------
        journal
            Remembers what is being written.
        """
        from nds_jupyter.data.data_root import DataRoot, default_root, open_backend
        from nds_jupyter.journal.journal import JournaledPartialWrites

        url = self.data_root or default_root(self._server.root_dir)
        return DataRoot(
            open_backend(url),
            threads=self.data_threads,
            deadline=self.data_deadline,
            retries=self.data_retries,
            record=JournaledPartialWrites(journal, url),
        )

    def make_spool(self, server_id: str) -> Spool:
        """Return where files wait that are sent with jobs; of this server's journal alone."""
        from nds_jupyter.data.spool import Spool

        folder = self.files_dir or Path(self.journal_dir, "files")
        return Spool(Path(folder, server_id), self.spool_limits())

    def initialize_settings(self) -> None:
        """Put the parts together, or open the way to the server that has them."""
        if self.gateway_url:
            self._pass_on()
        else:
            self._run_here()
        self._tell_pages()

    def _pass_on(self) -> None:
        """Let another server run the jobs."""
        from nds_jupyter.gateway.proxy_handlers import GATEWAY_KEY, PREFIX_KEY
        from nds_jupyter.gateway.upstream import UpstreamServer

        self._gateway = UpstreamServer.from_url(self.gateway_url, self.gateway_token)
        self.settings[GATEWAY_KEY] = self._gateway
        self.settings[PREFIX_KEY] = self.route_prefix
        self.log.info("Jobs are passed on to %s.", self.gateway_url)

    def _run_here(self) -> None:
        """Open the journal and put the parts together."""
        from nds_jupyter.handlers.base import SETTINGS_KEY, Services
        from nds_jupyter.journal import Journal
        from nds_jupyter.journal.journal import JournalThread
        from nds_jupyter.live import Broadcaster
        from nds_jupyter.runner import JobRunner
        from nds_jupyter.services.container_info import ContainerInfo
        from nds_jupyter.services.job_actions import JobActions
        from nds_jupyter.services.job_logs import JobLogs
        from nds_jupyter.services.job_results import JobResults, SelectionDelivery
        from nds_jupyter.services.sent_files import SentFiles
        from nds_jupyter.services.server_status import EngineLoad, HealthChecks
        from nds_jupyter.services.target_lookup import TargetLookup

        policy = self.policy()
        engine = self._engine = self.make_engine()
        journal = self._journal = JournalThread(Journal.open(Path(self.journal_dir)))
        data = self._data = self.make_data_root(journal)
        spool = self._spool = self.make_spool(journal.server_id)
        runner = self._runner = JobRunner(
            journal, engine, self.runner_settings(), self.log, data, spool
        )
        every = self.all_containers
        lookup = TargetLookup(runner, journal, engine, all_containers=every)
        load = EngineLoad(runner, engine)
        results = JobResults(engine, journal)
        logs = JobLogs(runner, journal, engine)
        broadcaster = self._broadcaster = Broadcaster(
            lookup.find_job, logs.stream_job_lines, load.measure, self.log
        )
        runner.add_listener(broadcaster)
        self.settings[SETTINGS_KEY] = Services(
            actions=JobActions(
                runner,
                journal,
                engine,
                lookup,
                policy,
                data.parse_path,
                SentFiles(spool, engine),
            ),
            data=data,
            engine=engine,
            selection_delivery=SelectionDelivery(engine, data, results),
            health=HealthChecks(engine, journal, data),
            journal=journal,
            load=load,
            logs=logs,
            lookup=lookup,
            broadcaster=broadcaster,
            container_info=ContainerInfo(
                runner, journal, engine, lookup, policy, all_containers=every
            ),
            results=results,
            spool=spool,
            owner_of=self.owner_of,
            openapi=self.openapi,
            prefix=self.route_prefix,
        )

    def _tell_pages(self) -> None:
        """Tell JupyterLab's pages where the routes are."""
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
        """Return the description of all routes."""
        from nds_jupyter.rest.openapi import openapi_document

        return openapi_document(self.route_prefix)

    def owner_of(self, user: Any) -> str:
        """Return whose jobs a request's user sees.

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
        """Resume jobs, and tell kernels where the server is: only now is its port known."""
        export_server_url(os.environ, serverapp, self.route_prefix)
        if self._gateway is not None:
            return
        try:
            await self._data.prepare()
        except NdsError as exc:
            self.log.warning("The data root can't be made: %s", exc)
        cleanup = self._data.partial_writes.remove_leftovers_periodically()
        self._partial_write_cleanup = asyncio.create_task(cleanup)
        try:
            await self._spool.remove_partial_files()
        except NdsError as exc:
            self.log.warning("What a killed server left of files can't be removed: %s", exc)
        await self._runner.start()

    async def stop_extension(self) -> None:
        """Leave the jobs running, and free what this process holds."""
        if self._gateway is not None:
            await self._gateway.close()
            return
        if self._partial_write_cleanup is not None:
            self._partial_write_cleanup.cancel()
        await self._broadcaster.close()
        await self._runner.close()
        await self._engine.close()
        await self._data.close()
        await self._spool.close()
        self._journal.close()
