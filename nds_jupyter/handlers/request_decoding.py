"""Decoding of query parameters, forms and JSON bodies into types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from nds_jupyter.admission.job_request import JobRequest
from nds_jupyter.errors import InvalidRequest

T = TypeVar("T")

AUTH_FIELDS = frozenset({"token", "_xsrf"})
"""Fields that belong to Jupyter's authentication, not to the route."""

JSON_FIELDS = frozenset({"command", "args", "env", "files", "labels", "sweep"})
"""Fields of a form whose text is JSON."""

_FIELD_OF_ERROR = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<field>[^`]*)`)?$", re.DOTALL)
_NAMED_FIELD = re.compile(r"field `(?P<field>[^`]*)`")


def single_values(fields: Mapping[str, Iterable[bytes]]) -> dict[str, str]:
    """Return each field's one value as text.

    Raises
    ------
    InvalidRequest
        If a field is repeated, or is not UTF-8.
    """
    values = {}
    for name, repeated in fields.items():
        if name in AUTH_FIELDS:
            continue
        value, *more = repeated
        if more:
            raise InvalidRequest(f"{name}: it is given {len(more) + 1} times. Give it once.")
        try:
            values[name] = value.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise InvalidRequest(f"{name}: it is not UTF-8 text.") from exc
    return values


def convert_fields(fields: Mapping[str, object], as_type: type[T], *, strict: bool = False) -> T:
    """Convert fields to a type.

    Parameters
    ----------
    strict
        False where every value is text, so that ``"1"`` is a number.
    """
    try:
        return msgspec.convert(fields, as_type, strict=strict)
    except msgspec.ValidationError as exc:
        raise InvalidRequest(_describe_error(str(exc))) from exc


def _describe_error(message: str) -> str:
    """Turn msgspec's ``Expected `int`, got `str` - at `$.limit` `` into ``limit: expected …``."""
    match = _FIELD_OF_ERROR.match(message)
    what, field = (match["what"], match["field"]) if match else (message, None)
    named = _NAMED_FIELD.search(what)
    if field is None and named:
        field = named["field"]
        what = "no such parameter" if "unknown" in what else "it is missing"
    what = what.replace("`", "")
    head = f"{field}: {what[:1].lower()}{what[1:]}" if field else f"The request: {what}"
    return f"{head}. GET /openapi.json lists what this route takes."


def parse_text_list(name: str, text: str) -> object:
    """Parse an array from text: JSON, or an item a line."""
    if text.lstrip().startswith("["):
        return _decode_json_field(name, text)
    return [line for line in text.splitlines() if line]


def decode_form_request(
    fields: dict[str, str], files: Mapping[str, tuple[str, bytes]]
) -> JobRequest:
    """Decode a job's request from a form.

    Parameters
    ----------
    fields
        Its texts.
    files
        Its files: name and content, by field.
    """
    values: dict[str, object] = {
        name: _decode_json_field(name, text) if name in JSON_FIELDS else text
        for name, text in fields.items()
    }
    for field in files.keys() - {"file"}:
        raise InvalidRequest(f"{field}: no such file is expected; send the script as file.")
    upload = files.get("file")
    if upload is not None and values.get("scriptname") is None and upload[0]:
        values["scriptname"] = upload[0].replace("\\", "/").rpartition("/")[2]
    if "file" in values:
        raise InvalidRequest("file: send it as an uploaded file, or the text as script.")
    request = convert_fields(values, JobRequest)
    return msgspec.structs.replace(request, file=upload[1]) if upload is not None else request


def _decode_json_field(name: str, text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as exc:
        shape = "array" if name in {"command", "args", "files", "paths"} else "object"
        raise InvalidRequest(f"{name}: it is not a JSON {shape} ({exc}).") from exc


def decode_json_request(body: bytes) -> JobRequest:
    """Decode a job's request from a JSON body."""
    fields = decode_json_object(body)
    encoded = fields.get("file")
    if isinstance(encoded, str):
        fields["file"] = _decode_base64(encoded)
    return convert_fields(fields, JobRequest, strict=True)


def decode_json_object(body: bytes) -> dict[str, object]:
    """Decode the fields of a JSON body."""
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidRequest(f"The body is not JSON: {exc}.") from exc
    if not isinstance(fields, dict):
        raise InvalidRequest("The body is not a JSON object.")
    return fields


def decode_json_body(body: bytes, as_type: type[T]) -> T:
    """Decode a JSON body into a type."""
    try:
        return msgspec.json.decode(body, type=as_type)
    except msgspec.ValidationError as exc:
        raise InvalidRequest(_describe_error(str(exc))) from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidRequest(f"The body is not JSON: {exc}.") from exc


def _decode_base64(text: str) -> bytes:
    try:
        return msgspec.convert(text, bytes)
    except msgspec.ValidationError as exc:
        raise InvalidRequest("file: in JSON it is base64.") from exc
