"""pandas and pyarrow read and write through the filesystem."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal
from pyarrow.fs import FSSpecHandler, PyFileSystem

from nds_jupyter.data.irods import IrodsFileSystem
from tests.irods_zone.fixtures import AnyZone


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {"x": np.arange(10_000), "y": np.linspace(0, 1, 10_000), "z": ["a", "b"] * 5_000}
    )


@pytest.fixture
def options(irods_zone: AnyZone) -> dict[str, Any]:
    return irods_zone.environment() | {"password": irods_zone.password()}


@pytest.mark.parametrize("format_", ["csv", "csv.gz", "json", "parquet"])
def test_pandas_reads_what_it_wrote(
    options: dict[str, Any], irods_home: str, frame: pd.DataFrame, format_: str
) -> None:
    url = f"irods://{irods_home}/frame.{format_}"
    kind = format_.partition(".")[0]
    keywords = {"csv": {"index": False}, "json": {}, "parquet": {}}[kind]
    getattr(frame, f"to_{kind}")(url, storage_options=options, **keywords)
    again = getattr(pd, f"read_{kind}")(url, storage_options=options)
    assert_frame_equal(again, frame)


def test_columns_of_a_parquet_file_are_read_alone(
    fs: IrodsFileSystem, irods_home: str, frame: pd.DataFrame
) -> None:
    table = pa.Table.from_pandas(frame)
    pq.write_table(table, f"{irods_home}/x.parquet", filesystem=fs, row_group_size=1_000)
    assert pq.read_table(f"{irods_home}/x.parquet", filesystem=fs).equals(table)
    narrow = pq.read_table(
        f"{irods_home}/x.parquet", filesystem=fs, columns=["x"], filters=[("x", "<", 5)]
    )
    assert narrow.column("x").to_pylist() == [0, 1, 2, 3, 4]


def test_a_dataset_of_many_files_is_written_and_read(
    fs: IrodsFileSystem, irods_home: str, frame: pd.DataFrame
) -> None:
    table = pa.Table.from_pandas(frame)
    place = f"{irods_home}/dataset"
    through = PyFileSystem(FSSpecHandler(fs))
    ds.write_dataset(
        table, place, filesystem=through, format="parquet", partitioning=["z"],
        partitioning_flavor="hive",
    )  # fmt: skip
    assert len(fs.glob(f"{place}/z=*/*.parquet")) == 2
    read = ds.dataset(place, filesystem=through, format="parquet", partitioning="hive")
    assert read.count_rows() == len(frame)
    assert read.to_table(filter=ds.field("z") == "a").num_rows == len(frame) // 2


def test_arrow_sees_the_zone_as_a_filesystem(fs: IrodsFileSystem, irods_home: str) -> None:
    arrow = PyFileSystem(FSSpecHandler(fs))
    with arrow.open_output_stream(f"{irods_home}/x") as stream:
        stream.write(b"content")
    with arrow.open_input_file(f"{irods_home}/x") as file:
        assert file.read_at(3, 2) == b"nte"
        assert file.size() == 7
    assert arrow.get_file_info(f"{irods_home}/x").is_file
    arrow.copy_file(f"{irods_home}/x", f"{irods_home}/y")
    arrow.move(f"{irods_home}/y", f"{irods_home}/z")
    arrow.delete_file(f"{irods_home}/x")
    assert fs.ls(irods_home, detail=False) == [f"{irods_home}/z"]
