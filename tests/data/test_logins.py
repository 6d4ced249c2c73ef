"""Logins of owners: kept encrypted until they end, by this server and the next."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nds_jupyter.data.logins import KEY_FILE, Login, LoginStore
from nds_jupyter.errors import DataLoginRequired

SECRET = "the password of ada"


def login(owner: str = "ada", hours: float = 1.0, password: str = SECRET) -> Login:
    expires = datetime.now(UTC) + timedelta(hours=hours)
    return Login(owner=owner, user=f"irods-{owner}", password=password, expires=expires)


def files(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.name != KEY_FILE)


def test_login_outlives_the_process(tmp_path: Path) -> None:
    folder = tmp_path / "logins"
    kept = login()
    LoginStore(folder).add(kept)
    again = LoginStore(folder)
    assert again.decrypt("ada") == kept
    assert again.find("ada").login_id == kept.login_id
    with pytest.raises(DataLoginRequired, match="%ndslogin"):
        again.find("bob")


def test_files_are_encrypted_and_the_accounts_own(tmp_path: Path) -> None:
    folder = tmp_path / "logins"
    store = LoginStore(folder)
    store.add(login())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert SECRET.encode() not in file.read_bytes()
        assert "ada" not in file.name
    assert SECRET not in repr(store.decrypt("ada"))
    assert SECRET not in repr(store.find("ada"))


def test_later_login_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    store = LoginStore(tmp_path)
    store.add(login(password="old"))
    before = store.find("ada").login_id
    store.add(login(password="new"))
    assert store.decrypt("ada").password == "new"
    assert store.find("ada").login_id != before
    assert len(files(tmp_path)) == 1


def test_login_that_is_over_is_gone(tmp_path: Path) -> None:
    store = LoginStore(tmp_path)
    store.add(login(hours=-1))
    with pytest.raises(DataLoginRequired, match="ended"):
        store.find("ada")
    assert files(tmp_path) == []
    store.add(login(hours=-1))
    LoginStore(tmp_path)
    assert files(tmp_path) == []


def test_logout_leaves_nothing(tmp_path: Path) -> None:
    store = LoginStore(tmp_path)
    store.add(login())
    store.remove("ada")
    store.remove("ada")
    assert files(tmp_path) == []
    with pytest.raises(DataLoginRequired):
        LoginStore(tmp_path).find("ada")


def test_what_somebody_changed_is_no_login(tmp_path: Path) -> None:
    store = LoginStore(tmp_path)
    store.add(login("ada"))
    store.add(login("bob"))
    one, other = files(tmp_path)
    # One owner's file in the place of another's.
    one.write_bytes(other.read_bytes())
    other.write_bytes(b"no token")
    again = LoginStore(tmp_path)
    for owner in ("ada", "bob"):
        with pytest.raises(DataLoginRequired):
            again.find(owner)


def test_lost_key_asks_for_new_logins(tmp_path: Path) -> None:
    LoginStore(tmp_path).add(login())
    (tmp_path / KEY_FILE).unlink()
    store = LoginStore(tmp_path)
    with pytest.raises(DataLoginRequired):
        store.find("ada")
    store.add(login())
    assert LoginStore(tmp_path).decrypt("ada").password == SECRET
