"""Protocol of the stager: its JSON is that of earlier versions, which may be on the other side."""

from __future__ import annotations

import msgspec

from nds_jupyter.data.partial_writes import PartialWrite
from nds_jupyter.data.stager_protocol import StagerMessage, StagerRequest, parse_message
from nds_jupyter.jobs.job import Input


def test_request_has_the_field_names_of_earlier_versions() -> None:
    request = StagerRequest(
        settings={"host": "h"}, base="/z", inputs=(Input(path="/x", to="/data/x"),), max_entries=5
    )
    body = msgspec.json.encode(request)
    assert set(msgspec.json.decode(body)) == {"settings", "base", "inputs", "most", "certificates"}
    assert msgspec.json.decode(body)["most"] == 5
    assert msgspec.json.decode(body, type=StagerRequest) == request


def test_lines_of_other_programs_and_unknown_fields_are_ignored() -> None:
    assert parse_message("Traceback (most recent call last):") is None
    assert parse_message('{"done": "x"}') is None
    assert parse_message("{half a lin") is None
    assert parse_message('{"done": 3, "total": 7, "new": 1}') == StagerMessage(done=3, total=7)


def test_recorded_partial_write_has_the_field_names_of_earlier_journals() -> None:
    body = b'{"path":"/.nds-1.part","goal":"/x","made":"/a"}'
    partial = PartialWrite(path="/.nds-1.part", target="/x", made="/a")
    assert msgspec.json.decode(body, type=PartialWrite) == partial
    assert msgspec.json.encode(partial) == body
