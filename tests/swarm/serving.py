"""What tests ask of a server on a Swarm: jobs on the node that is not a manager."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tornado.httpclient import HTTPResponse

from dev.swarm import Swarm
from tests.handlers.http_client import Ask
from tests.swarm.cluster import DEADLINE

THERE = {"constraint": ["node.hostname==node3"], "cpus": 0.1, "memory": "32m"}


def configured(swarm: Swarm, folder: Path, data_root: str, reached: int = 3) -> dict[str, Any]:
    """Return the configuration of a server on a Swarm that reaches so many nodes."""
    return {
        "ServerApp": {"jpserver_extensions": {"nds_jupyter": True}},
        "NdsApp": {
            "engine": "swarm",
            "endpoints": swarm.endpoints[:reached],
            "default_image": "nds/shell:test",
            "journal_dir": str(folder / "journal"),
            "data_root": data_root,
            "owner": "ada",
        },
    }


def said(answer: HTTPResponse) -> Any:
    assert answer.code in {200, 201}, answer.body
    return json.loads(answer.body)


async def submitted(ask: Ask, script: str, **fields: object) -> str:
    body = {"script": script, "scriptname": "job.sh", **THERE, **fields}
    return str(said(await ask("POST", "/upload", body))["job_id"])


async def until(ask: Ask, job_id: str, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(DEADLINE):
        job = said(await ask("GET", "/upload", job_id=job_id))
        while not reached(job):
            job = said(await ask("GET", "/upload", job_id=job_id, wait=1))
    return dict(job)


async def ended(ask: Ask, job_id: str) -> dict[str, Any]:
    return await until(ask, job_id, lambda job: job["state"] in {"COMPLETED", "FAILED"})
