"""Every code of the server is an error of the system, with its number, its name and a sentence."""

from __future__ import annotations

import errno

import pytest
from irods import exception
from irods.exception import iRODSExceptionMeta

from nds_jupyter.data.irods import AuthenticationFailed, IrodsFileSystem, ZoneUnavailable
from nds_jupyter.data.irods.exceptions import ContentMissing, map_exception
from nds_jupyter.data.irods.server_codes import NAMES, UnlistedServerError, code_of, name_of
from tests.irods.conftest import connect_to
from tests.irods_zone.codes import Api
from tests.irods_zone.fixtures import AnyZone
from tests.irods_zone.zone import Zone

PATH = "/tempZone/home/alice/x"


def error_of(code: int, message: str | None = None) -> OSError:
    return map_exception(UnlistedServerError(code, message), PATH)


@pytest.mark.parametrize("thousands", NAMES)
def test_a_code_that_the_client_lacks_has_its_name(thousands: int) -> None:
    assert 1000 * thousands not in iRODSExceptionMeta.codes
    error = error_of(1000 * thousands)
    assert isinstance(error, OSError)
    assert error.errno
    assert PATH in str(error)
    if type(error) is OSError and error.errno == errno.EIO:
        assert NAMES[thousands] in str(error)
        assert str(1000 * thousands) in str(error)


def test_names_and_codes_belong_together() -> None:
    assert name_of(-893_000) == "CAT_TICKET_USER_EXCLUDED"
    assert name_of(-510_002) == "UNIX_FILE_OPEN_ERR"
    assert code_of("CAT_SQL_ERR") == -806
    assert (name_of(-12), name_of(-5_555_000), code_of("NO_SUCH_NAME")) == ("", "", None)


@pytest.mark.parametrize("code", [-1, -999, -5_555_000, -99_999_996])
def test_a_code_without_a_name_is_told_by_its_number(code: int) -> None:
    assert f"({code})" in str(error_of(code))


@pytest.mark.parametrize("code", [-166_000, -154_000, -894_000, -1_201_000, -5_555_000, -12])
def test_no_code_of_a_reply_is_an_error_of_the_client(faulty_zone: Zone, code: int) -> None:
    fs = connect_to(faulty_zone)
    fs.pipe_file(f"{fs.home}/x", b"1")
    faulty_zone.faults.fail(code, Api.OPEN, times=100)
    with pytest.raises(OSError, match=f"{fs.home}/x"):
        fs.cat_file(f"{fs.home}/x")
    faulty_zone.faults.clear()
    assert fs.cat_file(f"{fs.home}/x") == b"1"


@pytest.mark.parametrize("code", [-510_002, -516_002, -528_002, -515_002, -718_002])
def test_a_file_that_is_gone_is_not_a_path_that_is_missing(code: int) -> None:
    error = error_of(code)
    assert isinstance(error, ContentMissing)
    assert not isinstance(error, FileNotFoundError)
    assert "missing in the storage" in str(error)


def test_the_errno_of_the_storage_is_not_that_of_the_path() -> None:
    for code in (-520_013, -511_002, -520_017):
        error = error_of(code)
        assert type(error) is OSError
        assert error.errno == errno.EIO
        assert f"({code}, " in str(error)
    assert error_of(-511_036).errno == errno.ENAMETOOLONG
    assert error_of(-516_028).errno == errno.ENOSPC
    assert error_of(-513_122).errno == errno.EDQUOT


def test_a_text_for_developers_is_not_shown() -> None:
    text = "SYS_INVALID_INPUT_PARAM]  errno [] -- message [a valid zone name does not appear]"
    error = error_of(-130_000, text)
    assert isinstance(error, PermissionError)
    assert "zone name" not in str(error)
    error = error_of(-130_000, "DEBUG: \n")
    assert isinstance(error, ZoneUnavailable)
    assert "DEBUG" not in str(error)
    error = error_of(-78_000, "[-]\t/source/core/src/resource_manager.cpp:81:error resolve")
    assert error.errno == errno.ENODEV
    assert "cpp" not in str(error)
    assert "'/z/c' is unknown" in str(error_of(-130_000, "collection '/z/c' is unknown"))


def test_what_a_ticket_refuses_is_one_sentence_each() -> None:
    refusals = [error_of(code) for code in range(-897_000, -889_000, 1000)]
    assert all(isinstance(each, AuthenticationFailed) for each in refusals)
    assert all("ticket" in str(each) for each in refusals)
    assert len({str(each) for each in refusals}) == 8


def test_codes_of_the_client_are_told_as_before() -> None:
    assert isinstance(map_exception(exception.CAT_UNKNOWN_COLLECTION(), PATH), FileNotFoundError)
    assert isinstance(map_exception(exception.DataObjectDoesNotExist(), PATH), FileNotFoundError)


def test_reading_what_is_being_written_is_busy(
    fs: IrodsFileSystem, irods_zone: AnyZone, irods_home: str
) -> None:
    path = f"{irods_home}/x"
    fs.pipe_file(path, b"old")
    with irods_zone.session() as session, session.data_objects.open(path, "w") as file:
        file.write(b"new")
        for ask in (fs.cat_file, fs.open):
            with pytest.raises(OSError, match=f"{path} is being written by somebody else") as busy:
                ask(path)
            assert busy.value.errno == errno.EBUSY
    assert fs.cat_file(path) == b"new"


def test_storage_that_is_down_is_told_apart_from_a_writer(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone)
    fs.pipe_file(f"{fs.home}/x", b"1")
    faulty_zone.faults.fail(-1_803_000, Api.OPEN, times=100)
    with pytest.raises(OSError, match="no replica of it can be used now") as busy:
        fs.cat_file(f"{fs.home}/x")
    assert busy.value.errno == errno.EBUSY
    with faulty_zone.store.catalogue.change() as db:
        db.execute("UPDATE resources SET status = 'down'")
    with pytest.raises(ZoneUnavailable, match="the storage behind it is down"):
        fs.cat_file(f"{fs.home}/x")
