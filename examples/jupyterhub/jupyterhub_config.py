"""JupyterHub with nds_jupyter as one service for all: only the service's account may use Docker.

Run with `jupyterhub -f jupyterhub_config.py`; docs/jupyterhub.md explains it.
"""

import os
import sys
from pathlib import Path

c = get_config()
service_config = Path(__file__).resolve().parent / "nds_service_config.py"
users = os.environ.get("NDS_HUB_USERS", "").split()
public = os.environ.get("NDS_HUB_URL", "http://127.0.0.1:8000").rstrip("/")

c.JupyterHub.bind_url = public
c.JupyterHub.services = [
    {
        "name": "nds",
        "url": os.environ.get("NDS_SERVICE_URL", "http://127.0.0.1:8888"),
        "command": [
            sys.executable,
            "-m",
            "jupyter_server",
            f"--config={service_config}",
        ],
        "oauth_no_confirm": True,
        "environment": {
            name: value
            for name, value in os.environ.items()
            if name.startswith(("DOCKER_", "IRODS_", "NDS_JOURNAL", "NDS_IMAGE", "NDS_DATA"))
        },
    }
]
c.JupyterHub.load_roles = [
    # Who may run jobs.
    {"name": "nds-users", "users": users, "scopes": ["access:services!service=nds"]},
    # What a user's notebooks may do with the token that they have anyway.
    {
        "name": "server",
        "scopes": ["users:activity!user", "access:servers!server", "access:services!service=nds"],
    },
]
# Notebooks send their jobs to the service; they need no Docker socket.
c.Spawner.environment = {"NDS_URL": f"{public}/services/nds/"}
c.Authenticator.allowed_users = set(users)
