"""Who connects, and how: environment file, variables, arguments."""

from __future__ import annotations

import json
import os
from pathlib import Path

import fsspec
import pytest
from irods.password_obfuscation import encode

from nds_jupyter.data.irods import ConfigurationError, IrodsFileSystem, environment_file
from nds_jupyter.data.irods.config import Account, account_from, settings_from_url
from nds_jupyter.data.irods.logical_paths import logical_path
from tests.irods_zone.fixtures import AnyZone
from tests.irods_zone.zone import Zone

COMPLETE = {
    "irods_host": "irods.example.org",
    "irods_port": 1247,
    "irods_user_name": "alice",
    "irods_zone_name": "tempZone",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of what iinit writes, and make it the user's."""
    (tmp_path / "irods_environment.json").write_text(json.dumps(COMPLETE))
    (tmp_path / ".irodsA").write_text(encode("from iinit", uid=os.getuid()))
    monkeypatch.setenv("IRODS_ENVIRONMENT_FILE", str(tmp_path / "irods_environment.json"))
    return tmp_path


def changed(folder: Path, **settings: object) -> None:
    (folder / "irods_environment.json").write_text(json.dumps(COMPLETE | settings))


def test_what_iinit_wrote_is_enough(folder: Path) -> None:
    account = account_from({})
    assert (account.host, account.port) == ("irods.example.org", 1247)
    assert (account.user, account.zone) == ("alice", "tempZone")
    assert (account.password, account.scheme) == ("from iinit", "native")
    assert account.home == "/tempZone/home/alice"
    assert account.policies == ()
    assert environment_file() == folder / "irods_environment.json"


def test_the_usual_place_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IRODS_ENVIRONMENT_FILE")
    assert environment_file() is None
    (tmp_path / ".irods").mkdir()
    (tmp_path / ".irods/irods_environment.json").write_text(json.dumps(COMPLETE))
    (tmp_path / ".irods/.irodsA").write_text(encode("usual", uid=os.getuid()))
    assert account_from({}).password == "usual"


def test_variables_win_over_the_file_and_arguments_over_both(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IRODS_HOST", "other.example.org")
    monkeypatch.setenv("IRODS_PORT", "2247")
    monkeypatch.setenv("IRODS_PASSWORD", "of the variable")
    account = account_from({"port": 3247, "user": None})
    assert (account.host, account.port) == ("other.example.org", 3247)
    assert (account.user, account.password) == ("alice", "of the variable")
    assert account_from({"password": "given"}).password == "given"


def test_anonymous_needs_no_password(folder: Path) -> None:
    (folder / ".irodsA").unlink()
    assert account_from({"user": "anonymous"}).password == ""


@pytest.mark.parametrize("missing", sorted(COMPLETE.keys() - {"irods_port"}))
def test_what_is_missing_is_named(folder: Path, missing: str) -> None:
    settings = {name: value for name, value in COMPLETE.items() if name != missing}
    (folder / "irods_environment.json").write_text(json.dumps(settings))
    with pytest.raises(ConfigurationError, match=f"{missing} is missing. Run iinit"):
        fsspec.filesystem("irods", skip_instance_cache=True)


def test_what_is_wrong_is_named(folder: Path) -> None:
    changed(folder, irods_port="twelve")
    with pytest.raises(ConfigurationError, match="irods_port is 'twelve'"):
        account_from({})
    changed(folder, irods_authentication_scheme="gsi")
    with pytest.raises(ConfigurationError, match="'gsi'; native and pam_password"):
        account_from({"password": "x"})
    (folder / "irods_environment.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"irods_environment\.json is not JSON"):
        account_from({})
    with pytest.raises(ConfigurationError, match=r"no iRODS environment file .*none"):
        account_from({"env_file": folder / "none"})


def test_a_pam_password_is_not_sent_in_clear(folder: Path) -> None:
    changed(
        folder,
        irods_authentication_scheme="pam_password",
        irods_client_server_negotiation="request_server_negotiation",
        irods_client_server_policy="CS_NEG_REFUSE",
    )
    with pytest.raises(ConfigurationError, match="over TLS only"):
        account_from({"password": "of PAM"})


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_certificate_that_cannot_be_read_is_named(folder: Path, content: str | None) -> None:
    if content is not None:
        (folder / "ca.pem").write_text(content)
    changed(
        folder,
        irods_client_server_negotiation="request_server_negotiation",
        irods_ssl_ca_certificate_file=str(folder / "ca.pem"),
    )
    fs = IrodsFileSystem(skip_instance_cache=True)
    with pytest.raises(ConfigurationError, match=r"ca\.pem .*irods_ssl_ca_certificate_file"):
        fs.ls("/")


@pytest.mark.parametrize("content", [None, "", "not scrambled"])
def test_an_unreadable_password_says_what_to_run(folder: Path, content: str | None) -> None:
    (folder / ".irodsA").unlink()
    if content is not None:
        (folder / ".irodsA").write_text(content)
    with pytest.raises(ConfigurationError, match=r"\.irodsA.*Run iinit"):
        account_from({})


@pytest.mark.parametrize("scheme", ["pam", "PAM", "pam_password", "pam_interactive"])
def test_what_iinit_got_from_pam_is_a_native_password(folder: Path, scheme: str) -> None:
    changed(folder, irods_authentication_scheme=scheme)
    assert account_from({}).scheme == "native"
    given = account_from({"password": "of PAM"})
    assert (given.scheme, given.policies) == ("pam_password", ("CS_NEG_REQUIRE",))


@pytest.mark.parametrize(
    ("policy", "tried"),
    [
        ("CS_NEG_REQUIRE", ("CS_NEG_REQUIRE",)),
        ("CS_NEG_REFUSE", ("CS_NEG_REFUSE",)),
        ("CS_NEG_DONT_CARE", ("CS_NEG_REQUIRE", "CS_NEG_REFUSE")),
        (None, ("CS_NEG_REQUIRE", "CS_NEG_REFUSE")),
    ],
)
def test_tls_is_negotiated_as_the_environment_says(
    folder: Path, policy: str | None, tried: tuple[str, ...]
) -> None:
    changed(
        folder,
        irods_client_server_negotiation="request_server_negotiation",
        irods_client_server_policy=policy,
        irods_encryption_key_size="32",
    )
    account = account_from({})
    assert account.policies == tried
    assert dict(account.tls)["irods_encryption_key_size"] == 32
    assert dict(account.tls)["irods_encryption_algorithm"] == "AES-256-CBC"


def test_a_certificate_is_checked_unless_it_shall_not_be() -> None:
    def modes(**tls: str | int) -> tuple[bool, str]:
        account = Account(
            host="h", port=1, user="u", zone="z", password="p", tls=tuple(tls.items())
        )
        context = account.ssl_context()
        return context.check_hostname, context.verify_mode.name

    assert modes() == (True, "CERT_REQUIRED")
    assert modes(irods_ssl_verify_server="cert") == (False, "CERT_REQUIRED")
    assert modes(irods_ssl_verify_server="none") == (False, "CERT_NONE")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("irods:///tempZone/home/x", "/tempZone/home/x"),
        ("irods://alice@host:1247/tempZone/home/x", "/tempZone/home/x"),
        ("irods:/tempZone/x", "/tempZone/x"),
        ("/tempZone//home/x/", "/tempZone/home/x"),
        ("tempZone/home", "/tempZone/home"),
        ("irods:///tempZone/what?a#b%20c", "/tempZone/what?a#b%20c"),
        ("irods://", "/"),
        ("/", "/"),
        ("", "/"),
    ],
)
def test_a_url_names_a_path(text: str, path: str) -> None:
    assert logical_path(text) == path


def test_a_url_names_who_and_where() -> None:
    assert settings_from_url("irods://alice@host:1247/z/x") == {
        "user": "alice",
        "host": "host",
        "port": 1247,
    }
    assert settings_from_url("irods://host/z/a@b:1") == {"host": "host"}
    assert settings_from_url("irods:///z/x") == {}


def test_a_url_opens(irods_zone: AnyZone, irods_home: str, fs: IrodsFileSystem) -> None:
    fs.pipe_file(f"{irods_home}/x", b"content")
    options = irods_zone.environment() | {"password": irods_zone.password()}
    with fsspec.open(f"irods://{irods_home}/x", **options) as file:
        assert file.read() == b"content"
    found, path = fsspec.url_to_fs(f"irods://{irods_home}/x", **options)
    assert isinstance(found, IrodsFileSystem)
    assert found.unstrip_protocol(path) == f"irods://{irods_home}/x"


def test_an_environment_file_opens_a_zone(
    faulty_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs = IrodsFileSystem(env_file=faulty_zone.environment_file("alice"), skip_instance_cache=True)
    assert fs.home == faulty_zone.home("alice")
    assert fs.ls(fs.home) == []
    assert fs.zone in fs.fsid
    assert fs.user == "alice"
