"""Sessions: shared, safe across threads and forks, and gone with their filesystem."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest

from nds_jupyter.data.irods import IrodsFileSystem
from nds_jupyter.data.irods.connection_pool import MAX_IDLE_CONNECTIONS
from tests.irods.conftest import Connect, connect_to
from tests.irods_zone.fixtures import AnyZone
from tests.irods_zone.zone import Zone


def test_threads_share_a_session_and_never_answers(fs: IrodsFileSystem, irods_home: str) -> None:
    names = [f"{irods_home}/{number}" for number in range(24)]

    def write_and_read(path: str) -> tuple[bytes, int]:
        fs.pipe_file(path, path.encode())
        return fs.cat_file(path), fs.info(path)["size"]

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(write_and_read, names))
    assert found == [(name.encode(), len(name)) for name in names]
    assert len(fs.ls(irods_home)) == len(names)


def test_an_instance_of_another_thread_uses_the_same_session(irods_zone: AnyZone) -> None:
    options = irods_zone.environment() | {"password": irods_zone.password()}
    here = fsspec.filesystem("irods", **options)
    with ThreadPoolExecutor(1) as pool:
        there = pool.submit(fsspec.filesystem, "irods", **options).result()
    assert here is not there
    assert here._session_holder is there._session_holder


def test_accounts_never_share_a_connection(
    fs: IrodsFileSystem, connect: Connect, irods_home: str
) -> None:
    other = connect("alice")
    fs.pipe_file(f"{irods_home}/secret", b"1")
    other.pipe_file(f"{other.home}/hers", b"2")

    def look(number: int) -> tuple[bool, ...]:
        who, mine, theirs = (
            (fs, f"{irods_home}/secret", f"{irods_home}/none"),
            (other, f"{other.home}/hers", f"{irods_home}/secret"),
        )[number % 2]
        return who.exists(mine), who.exists(theirs)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(look, range(40))) == {(True, False)}
    assert fs._session_holder is not other._session_holder
    for each in (fs, other):
        users = {conn.account.client_user for conn in each._session_holder.current().pool.idle}
        assert users == {each.user}
    other.rm(f"{other.home}/hers", trash=False)


def test_a_filesystem_can_be_pickled(fs: IrodsFileSystem, irods_home: str) -> None:
    fs.pipe_file(f"{irods_home}/x", b"1")
    assert pickle.loads(pickle.dumps(fs)).cat_file(f"{irods_home}/x") == b"1"


def test_a_password_is_not_shown(connect: Connect, irods_zone: AnyZone) -> None:
    # One of the test's own, since an administrator's may be a part of any text.
    fs, password = connect("nds-alice"), irods_zone.password("nds-alice")
    holder = fs._session_holder
    assert holder.account.password == password
    assert password not in repr(holder.account) + repr(fs) + repr(holder)


def _use_in_a_child(fs: IrodsFileSystem, path: str, results: object) -> None:
    with fs.open(path, "rb") as file:
        results.put((fs.cat_file(path), file.read(), [e["name"] for e in fs.ls(path)]))  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_parent_and_child_of_a_fork_do_not_disturb_each_other(
    fs: IrodsFileSystem, irods_home: str
) -> None:
    path = f"{irods_home}/x"
    fs.pipe_file(path, b"0123456789")
    forking = multiprocessing.get_context("fork")
    with fs.open(path, "rb", block_size=2) as file:
        assert file.read(2) == b"01"
        results = forking.Queue()
        children = [
            forking.Process(target=_use_in_a_child, args=(fs, path, results)) for _ in range(3)
        ]
        for child in children:
            child.start()
        for _ in children:
            assert results.get(timeout=60) == (b"0123456789", b"0123456789", [path])
        for child in children:
            child.join(60)
            assert child.exitcode == 0
        assert file.read() == b"23456789"
    assert fs.cat_file(path) == b"0123456789"


def _finish_in_a_child(file: object) -> None:
    file.close()  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_child_does_not_finish_what_its_parent_writes(
    fs: IrodsFileSystem, irods_home: str
) -> None:
    path = f"{irods_home}/x"
    with fs.open(path, "wb") as file:
        file.write(b"one ")
        child = multiprocessing.get_context("fork").Process(target=_finish_in_a_child, args=(file,))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        assert not fs.exists(path)
        file.write(b"two")
    assert fs.cat_file(path) == b"one two"


def test_idle_connections_are_few_and_end_with_the_filesystem(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone)
    fs.pipe_file(f"{fs.home}/x", b"1")
    files = [fs.open(f"{fs.home}/x", "rb") for _ in range(MAX_IDLE_CONNECTIONS + 4)]
    assert len(faulty_zone._sessions) >= len(files)
    for file in files:
        file.close()
    wait_for(lambda: len(faulty_zone._sessions) <= MAX_IDLE_CONNECTIONS)
    fs.close()
    wait_for(lambda: not faulty_zone._sessions)
    assert fs.cat_file(f"{fs.home}/x") == b"1"
    del fs, files, file
    gc.collect()
    wait_for(lambda: not faulty_zone._sessions)


def test_a_program_ends_quietly_with_files_open(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone)
    fs.pipe_file(f"{fs.home}/x", b"content")
    environment = faulty_zone.environment_file()
    program = (
        "import fsspec; fs = fsspec.filesystem('irods');"
        "file = fs.open(f'{fs.home}/x', 'rb'); print(file.read()); fs.ls(fs.home)"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "IRODS_ENVIRONMENT_FILE": str(environment)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("b'content'\n", "", 0)


def wait_for(condition, seconds: float = 30.0) -> None:
    event, end = threading.Event(), time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        event.wait(0.02)


def test_a_ticket_opens_what_it_was_made_for(faulty_zone: Zone, tmp_path: Path) -> None:
    from irods.ticket import Ticket

    owner = connect_to(faulty_zone)
    for name in ("x", "y"):
        owner.pipe_file(f"{owner.home}/{name}", name.encode())
    with faulty_zone.session() as session:
        ticket = Ticket(session)
        ticket.issue("read", f"{owner.home}/x")
    fs = connect_to(faulty_zone, "bob", ticket=ticket.string)
    assert fs.cat_file(f"{owner.home}/x") == b"x"
    assert fs.info(f"{owner.home}/x")["size"] == 1
    fs.get_file(f"{owner.home}/x", str(tmp_path / "x"))
    with pytest.raises(FileNotFoundError, match="the ticket does not open it"):
        fs.cat_file(f"{owner.home}/y")
    # The server takes any ticket, and only does not open anything by a wrong one.
    with pytest.raises(FileNotFoundError, match="the ticket does not open it: it may be wrong"):
        connect_to(faulty_zone, "bob", ticket="none-such").cat_file(f"{owner.home}/x")
