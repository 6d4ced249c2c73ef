"""Recorded messages, reduced to what two servers that behave alike have in common."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import msgspec

from tests.zone.recorder import Message

FOLDER = Path(__file__).parent.parent / "irods_zone" / "transcripts"

# What differs between two servers, or between two runs on one.
_DIFFERS = (
    (re.compile(r"\b0(?!0{10})\d{10}\b"), "TIME"),
    (re.compile(r"(?<=>)1\d{9}(?=<)"), "TIME"),
    (re.compile(r"(?<=<dataSize>)(0|-1)(?=<)"), "UNKNOWN"),
    (re.compile(r"(?<=<filesCnt>)\d+(?=<)"), "COUNT"),
    (re.compile(r"(?<=[>'])[12]\d{5}(?=[<'])"), "ID"),
    (re.compile(r"\b1\d{4}\b"), "ID"),
    (re.compile(r"<reslen>\d+</reslen>"), "<reslen>WIDTH</reslen>"),
    (re.compile(r"<buflen>\d+</buflen>"), "<buflen>LENGTH</buflen>"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "TOKEN"),
    (re.compile(r"(?<=<arg3>password</arg3><arg4>)[^<]*"), "SCRAMBLED"),
    (re.compile(r"(?<=<value>)[^<]*/vault/[^<]*"), "FILE"),
)
_BUFFER = re.compile(r"<buf>([^<]*)</buf>")
_SECRETS = ("digest", "request_result", "file_path", "condition_input")
# What clients read of an open object; the rest of that answer is the server's own business.
_DESCRIBED = ("replica_token", "replica_status", "data_object_info", "in_use")
_DESCRIBED_OBJECT = ("resource_hierarchy", "object_path", "data_size", "replica_status", "checksum")


def recorded(scenario: str) -> list[Message]:
    """Read the messages of a scenario."""
    lines = (FOLDER / f"{scenario}.jsonl").read_text().splitlines()
    return [msgspec.json.decode(line, type=Message) for line in lines]


def reduce(message: Message) -> str:
    """Write a message without what differs between two servers."""
    body = _BUFFER.sub(lambda found: f"<buf>{_buffer(found[1])}</buf>", message.msg)
    for pattern, name in _DIFFERS:
        body = pattern.sub(name, body)
    parts = (message.type, message.int_info, body, message.error, message.bs_len, message.bs_base64)
    return f"{message.sender}: {' '.join(map(str, parts))}"


def by_connection(messages: list[Message]) -> list[list[str]]:
    """Give the messages of each connection in their order."""
    numbers = sorted({message.conn for message in messages})
    return [[reduce(each) for each in messages if each.conn == number] for number in numbers]


def _buffer(packed: str) -> str:
    value = json.loads(base64.b64decode(packed).replace(b"\0", b""))
    if "data_object_info" in value:
        described = {key: value["data_object_info"][key] for key in _DESCRIBED_OBJECT}
        value = {key: value[key] for key in _DESCRIBED} | {"data_object_info": described}
    for key in _SECRETS:
        if key in value:
            value[key] = key.upper()
    return json.dumps(value, sort_keys=True)
