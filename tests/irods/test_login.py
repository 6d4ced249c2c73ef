"""Logins by native authentication and PAM, at a zone that insists on TLS."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nds_jupyter.data.irods import AuthenticationFailed, IrodsFileSystem, ZoneUnavailable
from nds_jupyter.data.irods.config import Account, account_from
from nds_jupyter.data.irods.login import log_in
from tests.irods_zone.authentication import CODE
from tests.irods_zone.zone import Zone

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture
def zone(tmp_path: Path) -> Iterator[Zone]:
    with Zone(tmp_path / "zone", tls=True, host="localhost") as zone:
        yield zone


def account(zone: Zone, scheme: str, password: str | None = None) -> Account:
    settings: dict[str, Any] = zone.environment("ada", irods_authentication_scheme=scheme)
    if password is None:
        password = zone.password("ada")
    found = account_from({**settings, "password": password or "-"})
    if scheme == "pam_interactive":
        return msgspec.structs.replace(found, scheme=scheme, password="")
    return found


def user_of(zone: Zone, proved: Account) -> str:
    """Use an account, and return who it is."""
    tls = {name: value for name, value in zone.environment("ada").items() if "irods_" in name}
    fs = IrodsFileSystem(
        **{**tls, "irods_authentication_scheme": proved.scheme},
        password=proved.password,
        skip_instance_cache=True,
    )
    assert fs.isdir(fs.home)
    return fs.user


def test_native_password_is_proved_and_kept(zone: Zone) -> None:
    proved = log_in(account(zone, "native"), hours=1)
    assert (proved.scheme, proved.password) == ("native", zone.password("ada"))
    with pytest.raises(AuthenticationFailed):
        log_in(account(zone, "native", "wrong"), hours=1)


@pytest.mark.parametrize("version", [(5, 0, 2), (4, 2, 12)], ids=["5.0", "4.2"])
def test_pam_password_is_exchanged_for_another(
    zone: Zone, version: tuple[int, int, int], caplog: pytest.LogCaptureFixture
) -> None:
    zone.faults.version = version
    caplog.set_level(logging.DEBUG)
    proved = log_in(account(zone, "pam_password"), hours=2)
    assert proved.scheme == "native"
    assert proved.password not in {"", zone.password("ada")}
    assert user_of(zone, proved) == "ada"
    with pytest.raises(AuthenticationFailed):
        log_in(account(zone, "pam_password", "wrong"), hours=2)
    for secret in (zone.password("ada"), proved.password):
        assert secret not in caplog.text
        assert secret not in repr(proved)


def test_interactive_pam_asks_what_it_wants_to_know(
    zone: Zone, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asked: list[tuple[str, bool]] = []
    answers = {"Code: ": CODE, "Password: ": zone.password("ada")}

    def ask(prompt: str, secret: bool) -> str:
        asked.append((prompt, secret))
        return answers[prompt]

    proved = log_in(account(zone, "pam_interactive"), hours=2, ask=ask)
    assert asked == [("Code: ", False), ("Password: ", True)]
    assert user_of(zone, proved) == "ada"
    assert zone.password("ada") not in caplog.text
    answers["Code: "] = "another"
    with pytest.raises(AuthenticationFailed):
        log_in(account(zone, "pam_interactive"), hours=2, ask=ask)


def test_zone_that_is_away_is_told_from_a_wrong_password(zone: Zone) -> None:
    found = account(zone, "native")
    zone.close()
    with pytest.raises(ZoneUnavailable):
        log_in(found, hours=1)
