"""Connections that break or are refused: operations resume, and the next call works."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nds_jupyter.data.irods import AuthenticationFailed, IrodsFileSystem, connection_pool
from nds_jupyter.data.irods.connection_pool import PooledConnection
from tests.irods.conftest import connect_to
from tests.irods_zone.codes import Api
from tests.irods_zone.zone import Zone


def test_a_dropped_connection_is_made_again(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone)
    path = f"{fs.home}/x"
    fs.pipe_file(path, b"content")
    for api in (Api.GENQUERY2, Api.OPEN, Api.READ, Api.LSEEK, Api.CLOSE):
        faulty_zone.faults.drop(api)
        assert fs.info(path)["size"] == 7
        assert fs.cat_file(path, 1, 3) == b"on"
        faulty_zone.faults.clear()
    faulty_zone.faults.drop_now()
    fs.pipe_file(path, b"other")
    faulty_zone.faults.drop_now()
    fs.mv(path, f"{path}2")
    faulty_zone.faults.drop_now()
    fs.rm(f"{path}2")
    assert fs.ls(fs.home) == []


def test_a_reader_resumes_after_a_break(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone)
    fs.pipe_file(f"{fs.home}/x", bytes(range(200)))
    with fs.open(f"{fs.home}/x", "rb", block_size=10) as file:
        start = file.read(50)
        faulty_zone.faults.drop_now()
        assert start + file.read() == bytes(range(200))


def test_a_connection_that_ends_amid_a_reply_does_not_hang(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone)
    content = bytes(range(256)) * 2**14
    fs.pipe_file(f"{fs.home}/x", content)
    faulty_zone.faults.drop_after(2**20 + 1)
    assert fs.cat_file(f"{fs.home}/x") == content
    faulty_zone.faults.drop_after(2**20 + 1)
    with fs.open(f"{fs.home}/x", "rb", block_size=2**21) as file:
        assert file.read() == content


def test_a_writer_resumes_after_a_break(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone)
    parts = [bytes([number]) * 1000 for number in range(6)]
    with fs.open(f"{fs.home}/x", "wb", block_size=1000) as file:
        for part in parts:
            file.write(part)
            faulty_zone.faults.drop_now()
    assert fs.cat_file(f"{fs.home}/x") == b"".join(parts)


def test_a_restarted_server_is_waited_for(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone, patience=60.0)
    fs.pipe_file(f"{fs.home}/x", b"1")
    faulty_zone.faults.refuse()
    faulty_zone.faults.drop_now()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(fs.cat_file, f"{fs.home}/x")
        with pytest.raises(TimeoutError):
            reading.result(timeout=1.0)
        faulty_zone.faults.accept()
        assert reading.result(timeout=60) == b"1"


@pytest.mark.slow
def test_slow_server_side_operations_have_no_timeout(faulty_zone: Zone, tmp_path: Path) -> None:
    fs = connect_to(faulty_zone, timeout=3.0)
    path = f"{fs.home}/x"
    fs.pipe_file(path, b"1")
    # Another client's object has no checksum yet.
    faulty_zone.overwrite(path, b"22")
    faulty_zone.faults.slow(4.0, Api.CHECKSUM)
    faulty_zone.faults.slow(4.0, Api.COPY)
    assert fs.checksum(path).startswith("sha2:")
    fs.cp_file(path, f"{path}2")
    assert fs.cat_file(f"{path}2") == b"22"


@pytest.mark.slow
def test_a_transfer_as_a_whole_has_no_deadline(faulty_zone: Zone, tmp_path: Path) -> None:
    fs = connect_to(faulty_zone, timeout=4.0)
    faulty_zone.faults.slow(1.0, Api.WRITE)
    faulty_zone.faults.slow(1.0, Api.READ)
    began = time.monotonic()
    with fs.open(f"{fs.home}/x", "wb", block_size=10) as file:
        for number in range(5):
            file.write(b"%d" % number * 11)
    with fs.open(f"{fs.home}/x", "rb", block_size=11, cache_type="none") as file:
        assert [file.read(11)[:1] for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
    assert time.monotonic() - began > 2 * 4.0


def test_running_iinit_again_is_enough(faulty_zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = faulty_zone.environment_file("alice")
    monkeypatch.setenv("IRODS_ENVIRONMENT_FILE", str(environment))
    fs = IrodsFileSystem(skip_instance_cache=True)
    fs.pipe_file(f"{fs.home}/x", b"1")
    faulty_zone.add_user("alice", "another password")
    faulty_zone.faults.drop_now()
    with pytest.raises(AuthenticationFailed):
        fs.cat_file(f"{fs.home}/x")
    fresh = faulty_zone.environment_file("alice").with_name(".irodsA")
    environment.with_name(".irodsA").write_text(fresh.read_text())
    assert fs.cat_file(f"{fs.home}/x") == b"1"


def test_an_interrupted_call_leaves_no_reply_to_the_next(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone)
    for name in ("a", "bb"):
        fs.pipe_file(f"{fs.home}/{name}", name.encode())
    faulty_zone.faults.stall(Api.READ)
    fs._session_holder.current().pool.connection_timeout = 1.0
    with pytest.raises(TimeoutError):
        fs.cat_file(f"{fs.home}/a")
    faulty_zone.faults.clear()
    fs._session_holder.current().pool.connection_timeout = 60.0
    assert fs.cat_file(f"{fs.home}/bb") == b"bb"


@pytest.mark.parametrize("method", ["recv_into", "send"])
def test_an_interrupted_cell_can_be_run_again(
    faulty_zone: Zone, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    fs = connect_to(faulty_zone)
    fs.pipe_file(f"{fs.home}/x", b"0123456789")

    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with fs.open(f"{fs.home}/x", "rb", block_size=2) as file:
        assert file.read(2) == b"01"
        with monkeypatch.context() as patched:
            patched.setattr(PooledConnection, method, interrupt)
            with pytest.raises(KeyboardInterrupt):
                file.read()
            with pytest.raises(KeyboardInterrupt):
                fs.cat_file(f"{fs.home}/x")
        assert file.read() == b"23456789"
    for _ in range(3):
        assert fs.cat_file(f"{fs.home}/x") == b"0123456789"
        assert fs.info(f"{fs.home}/x")["size"] == 10


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_zone_that_lets_an_account_have_one_connection_is_listed_over_that(
    faulty_zone: Zone, limit: int
) -> None:
    # Were a refused connection tried again, the test would not end.
    fs = connect_to(faulty_zone, patience=3600.0)
    for name in ("a", "c"):
        fs.mkdir(f"{fs.home}/{name}")
    for name in ("b", "d"):
        fs.pipe_file(f"{fs.home}/{name}", b"1")
    fs.close()
    assert fs.exists(f"{fs.home}/a")
    faulty_zone.faults.refuse()
    seen, after = [], ""
    while after is not None:
        page = fs.ls_page(fs.home, after, limit)
        seen += [entry.name for entry in page.entries]
        after = page.next
    assert seen == ["a", "c", "b", "d"]
    assert len(fs._session_holder.current().pool.idle) == 1


def test_spare_connection_is_tried_again_after_a_while(
    faulty_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_pool, "SPARE_RETRY_INTERVAL", 0.0)
    fs = connect_to(faulty_zone)
    assert fs.exists(fs.home)
    faulty_zone.faults.refuse()
    fs.ls_page(fs.home)
    faulty_zone.faults.accept()
    fs.ls_page(fs.home)
    assert len(fs._session_holder.current().pool.idle) == 2
