"""The SDK's clients of threads, and their end."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from nds_jupyter.engines.docker.sdk_clients import SdkClients
from nds_jupyter.errors import EngineUnavailable


def test_thread_that_outlives_an_engine_leaves_no_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Mock] = []
    clients = SdkClients("unix:///nowhere", 1.0)

    def new(_timeout: float | None) -> Mock:
        made.append(Mock())
        if len(made) == 2:
            clients.close()
        return made[-1]

    monkeypatch.setattr(clients, "new", new)
    first = clients.thread_client()
    assert clients.thread_client() is first
    clients._local.client = None
    with pytest.raises(EngineUnavailable):
        clients.thread_client()
    assert [client.close.call_count for client in made] == [1, 1]
