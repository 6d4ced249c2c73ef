"""The Jupyter server that JupyterHub runs as the service `nds`: jobs, and nothing else."""

import os
from urllib.parse import urlsplit

c = get_config()
address = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])

c.ServerApp.ip = address.hostname
c.ServerApp.port = address.port
c.ServerApp.port_retries = 0
c.ServerApp.base_url = os.environ["JUPYTERHUB_SERVICE_PREFIX"]
c.ServerApp.open_browser = False
c.ServerApp.allow_root = True
c.ServerApp.terminals_enabled = False
c.ServerApp.identity_provider_class = "jupyterhub.singleuser.extension.JupyterHubIdentityProvider"
# Tornado's own check comes before anyone has looked at the token, and would refuse programs.
# Jupyter's comes later, for who has a cookie, and stays.
c.ServerApp.tornado_settings = {"xsrf_cookies": False}
# Kernels, files and terminals of this account belong to nobody who has a token of the Hub.
c.ServerApp.authorizer_class = "nds_jupyter.configuration.authorizer.JobsOnlyAuthorizer"

c.NdsApp.journal_dir = os.environ.get("NDS_JOURNAL", "/var/lib/nds")
# Whose iRODS account: the service's for all (server), the service's on behalf of each user (proxy),
# or each user's own (own); docs/jupyterhub.md says what each needs.
c.NdsApp.data_identity = os.environ.get("NDS_DATA_IDENTITY", "server")
c.NdsApp.default_image = os.environ.get("NDS_IMAGE", "python:3.11-slim")
