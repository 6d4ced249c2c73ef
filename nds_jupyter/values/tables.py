"""Tables as Arrow, Parquet or CSV."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from typing import IO, Any

from .json_codec import NotSerializable, import_library

_METADATA_KEY = b"nds"


def is_table(value: object) -> bool:
    """Whether a value is a data frame or series of pandas, or a table of pyarrow."""
    kind = type(value)
    family = kind.__module__.partition(".")[0]
    return family in ("pandas", "pyarrow") and kind.__name__ in ("DataFrame", "Series", "Table")


def dump_arrow(value: Any, file: IO[bytes]) -> None:
    """Write a table as an Arrow file, which is a Feather file of version 2."""
    arrow = import_library("pyarrow")
    table = _to_arrow(value)
    with arrow.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def load_arrow(file: IO[bytes]) -> Any:
    """Read an Arrow or Feather file."""
    arrow = import_library("pyarrow")
    return _from_arrow(arrow.ipc.open_file(file).read_all())


def dump_parquet(value: Any, file: IO[bytes]) -> None:
    """Write a table as Parquet."""
    import_library("pyarrow.parquet").write_table(_to_arrow(value), file)


def load_parquet(file: IO[bytes]) -> Any:
    """Read a Parquet file."""
    return _from_arrow(_restore_seconds(import_library("pyarrow.parquet").read_table(file)))


def _restore_seconds(table: Any) -> Any:
    """Return a table with the times in whole seconds that it had; Parquet has milliseconds."""
    arrow = import_library("pyarrow")
    schema = table.schema
    for position in _read_metadata(table).get("seconds", ()):
        kind = schema.field(position).type
        seconds = arrow.time32("s") if arrow.types.is_time(kind) else arrow.timestamp("s", kind.tz)
        schema = schema.set(position, schema.field(position).with_type(seconds))
    return table.cast(schema) if schema != table.schema else table


def dump_csv(value: Any, file: IO[bytes]) -> None:
    """Write a table as CSV in UTF-8, the index as its first columns unless it just counts."""
    pandas = import_library("pandas")
    frame = value
    if type(value).__name__ == "Table":
        frame = value.to_pandas()
    elif type(value).__name__ == "Series":
        frame = value.to_frame()
    text = io.TextIOWrapper(file, "utf-8", newline="")
    frame.to_csv(text, index=not isinstance(frame.index, pandas.RangeIndex))
    text.detach()


def load_csv(file: IO[bytes]) -> Any:
    """Read CSV into a data frame."""
    return import_library("pandas").read_csv(file)


def _to_arrow(value: Any) -> Any:
    """Return an Arrow table of a value, with metadata of what it was.

    Raises
    ------
    NotSerializable
        If it would not return as it was.
    """
    kind = type(value).__name__
    metadata: dict[str, Any] = {"kind": kind}
    table = value
    if kind != "Table":
        metadata["freq"] = getattr(value.index, "freqstr", None)
        if kind == "Series":
            metadata["unnamed"] = value.name is None
            value = value.to_frame("value" if value.name is None else value.name)
        table = _frame_to_arrow(value)
    metadata["seconds"] = [
        position for position, each in enumerate(table.schema) if _is_in_seconds(each)
    ]
    combined = {**(table.schema.metadata or {}), _METADATA_KEY: json.dumps(metadata).encode()}
    return table.replace_schema_metadata(combined)


def _is_in_seconds(field: Any) -> bool:
    types = import_library("pyarrow").types
    kind = field.type
    return bool((types.is_timestamp(kind) or types.is_time32(kind)) and kind.unit == "s")


def _frame_to_arrow(frame: Any) -> Any:
    arrow = import_library("pyarrow")
    if not frame.columns.is_unique:
        raise NotSerializable("two of its columns have the same name")
    try:
        with warnings.catch_warnings():
            # Of what would not return as it was we say more ourselves.
            warnings.simplefilter("ignore")
            table = arrow.Table.from_pandas(frame)
        back = table.slice(0, 0).to_pandas()
    except (ValueError, TypeError, OverflowError, KeyError, NotImplementedError) as exc:
        message = str(exc.args[0] if exc.args else exc).rstrip(".")
        raise NotSerializable(f"Arrow can't hold it: {message}") from exc
    if len(frame) and not table.num_columns:
        raise NotSerializable("it has rows and no columns")
    _check_axes(frame, back)
    for position, name in enumerate(frame.columns):
        if str(frame.dtypes.iloc[position]) == "object":
            _check_object_column(name, table.column(position), frame.iloc[:, position])
    return table


def _check_axes(frame: Any, back: Any) -> None:
    for what, axis, other in (
        ("columns", frame.columns, back.columns),
        ("index", frame.index[:0], back.index),
    ):
        same_names = list(axis.names) == list(other.names)
        if not same_names or axis.nlevels != other.nlevels or not axis.equals(other):
            raise NotSerializable(
                f"its {what} would not return as they are. reset_index() may help"
            )
    dtypes = zip(frame.columns, frame.dtypes, back.dtypes)  # noqa: B905 - not in Python 3.8
    for name, before, after in dtypes:
        # Objects are told apart by what Arrow took them for.
        if str(before) not in (str(after), "object"):
            raise NotSerializable(f"its column {name!r} of type {before} would return as {after}")


def _check_object_column(name: object, column: Any, values: Any) -> None:
    """Raise if what Arrow made of Python objects would return as something else."""
    types = import_library("pyarrow").types
    arrow_type = column.type
    if types.is_nested(arrow_type):
        raise NotSerializable(
            f"its column {name!r} holds lists or dictionaries, which would not return as they are. "
            "A pyarrow.Table holds them"
        )
    is_number = types.is_integer(arrow_type) or types.is_floating(arrow_type)
    if is_number and column.null_count:
        raise NotSerializable(
            f"its column {name!r} mixes numbers and None. astype('Int64') may help"
        )
    if (
        types.is_temporal(arrow_type)
        or types.is_binary(arrow_type)
        or types.is_large_binary(arrow_type)
    ):
        # Among dates Arrow takes a number for days since 1970, and among bytes a text for bytes.
        after = column.drop_null().to_pylist()
        if any(one != other for one, other in zip(values.dropna(), after)):  # noqa: B905
            raise NotSerializable(
                f"its column {name!r} mixes kinds of values. Bring them to one kind"
            )


def _read_metadata(table: Any) -> Any:
    written = (table.schema.metadata or {}).get(_METADATA_KEY)
    return json.loads(written.decode()) if written else {"kind": "DataFrame"}


def _from_arrow(table: Any) -> Any:
    metadata = _read_metadata(table)
    if metadata["kind"] == "Table":
        # The entry is ours; the table returns with what it had.
        rest = {key: text for key, text in table.schema.metadata.items() if key != _METADATA_KEY}
        return table.replace_schema_metadata(rest or None)
    import_library("pandas")
    frame = table.to_pandas()
    if metadata.get("freq"):
        # An index without rows has none.
        with contextlib.suppress(ValueError):
            frame.index.freq = metadata["freq"]
    if metadata["kind"] != "Series":
        return frame
    series = frame.iloc[:, 0]
    return series.rename(None) if metadata["unnamed"] else series
