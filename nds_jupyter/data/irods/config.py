"""Account and connection settings from the environment file, `IRODS_*` variables and arguments.

Later ones win. The names are those of `irods_environment.json`; a variable is the same name in
capitals. A password comes from the argument, else from `IRODS_PASSWORD`, else from the file that
`iinit` writes.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from irods.password_obfuscation import decode

from nds_jupyter.data.irods.exceptions import ConfigurationError

PROTOCOL = "irods"
"""What URLs of the filesystem begin with."""

PAM = frozenset({"pam", "pam_password", "pam_interactive"})
REQUIRE, REFUSE, DONT_CARE = "CS_NEG_REQUIRE", "CS_NEG_REFUSE", "CS_NEG_DONT_CARE"
NEGOTIATE = "request_server_negotiation"

_SHORT_NAMES = {
    "host": "irods_host",
    "port": "irods_port",
    "user": "irods_user_name",
    "zone": "irods_zone_name",
    "authentication_scheme": "irods_authentication_scheme",
    "authentication_file": "irods_authentication_file",
    "default_resource": "irods_default_resource",
    "home": "irods_home",
}
_ENCRYPTION: dict[str, str | int] = {
    "irods_encryption_algorithm": "AES-256-CBC",
    "irods_encryption_key_size": 32,
    "irods_encryption_num_hash_rounds": 16,
    "irods_encryption_salt_size": 8,
}
_CERTIFICATES = (
    "irods_ssl_ca_certificate_file",
    "irods_ssl_ca_certificate_path",
    "irods_ssl_verify_server",
)


class Account(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """One account in one zone, as the client's session takes it.

    Parameters
    ----------
    password
        For the scheme; with ``native`` it may also be the one that `iinit` got from PAM.
    client_user
        The user that this account, a rodsadmin, acts for; empty: it acts for itself.
    policies
        Values of ``irods_client_server_policy`` to try, in this order; empty: no negotiation.
    tls
        Settings of encryption and certificates, by their names in the environment file.
    """

    host: str
    port: int
    user: str
    zone: str
    scheme: str = "native"
    password: str = ""
    ticket: str = ""
    default_resource: str = ""
    home: str = ""
    client_user: str = ""
    policies: tuple[str, ...] = ()
    tls: tuple[tuple[str, str | int], ...] = ()

    def __repr__(self) -> str:
        acting_for = f" for {self.client_user}" if self.client_user else ""
        return f"<iRODS account {self.user}#{self.zone}{acting_for} at {self.host}:{self.port}>"

    @property
    def acting_user(self) -> str:
        """The user whose permissions count."""
        return self.client_user or self.user

    def session_arguments(self) -> dict[str, Any]:
        """Return the arguments of `irods.session.iRODSSession`."""
        arguments: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "zone": self.zone,
            "password": self.password,
            "authentication_scheme": self.scheme,
        }
        if self.client_user:
            arguments["client_user"] = self.client_user
        if self.default_resource:
            arguments["irods_default_resource"] = self.default_resource
        if self.policies:
            arguments["irods_client_server_negotiation"] = NEGOTIATE
            arguments["irods_client_server_policy"] = self.policies[0]
            arguments.update(self.tls)
            arguments["ssl_context"] = self.ssl_context()
        return arguments

    def settings(self) -> dict[str, str | int]:
        """Return the arguments of `IrodsFileSystem` that lead to this account from anywhere."""
        settings: dict[str, str | int] = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "zone": self.zone,
            "password": self.password,
            "irods_authentication_scheme": self.scheme,
            "irods_home": self.home,
        }
        if self.client_user:
            settings["client_user"] = self.client_user
        if self.default_resource:
            settings["irods_default_resource"] = self.default_resource
        if self.ticket:
            settings["ticket"] = self.ticket
        if self.policies:
            settings["irods_client_server_negotiation"] = NEGOTIATE
            settings["irods_client_server_policy"] = (
                DONT_CARE if len(self.policies) > 1 else self.policies[0]
            )
            settings.update(self.tls)
        return settings

    def ssl_context(self) -> ssl.SSLContext:
        """Return the TLS context; the client's own checks no certificate without a CA file."""
        settings = dict(self.tls)
        verify = settings.get("irods_ssl_verify_server", "hostname")
        file = _text(settings.get("irods_ssl_ca_certificate_file"))
        folder = _text(settings.get("irods_ssl_ca_certificate_path"))
        try:
            context = ssl.create_default_context(cafile=file, capath=folder)
        except OSError as exc:
            raise ConfigurationError(
                f"No certificate can be read from {file or folder} ({exc.strerror or exc}). "
                "Correct irods_ssl_ca_certificate_file."
            ) from exc
        context.check_hostname = verify == "hostname"
        context.verify_mode = ssl.CERT_NONE if verify == "none" else ssl.CERT_REQUIRED
        return context


def _text(value: str | int | None) -> str | None:
    return None if value is None else str(value)


def environment_file() -> Path | None:
    """Return the user's `irods_environment.json`, or None if there is none."""
    configured = os.environ.get("IRODS_ENVIRONMENT_FILE")
    path = Path(configured) if configured else Path("~/.irods/irods_environment.json").expanduser()
    return path if path.is_file() else None


def account_from(options: Mapping[str, Any]) -> Account:
    """Resolve the account from arguments, `IRODS_*` variables and the environment file.

    Parameters
    ----------
    options
        ``env_file``, ``host``, ``port``, ``user``, ``zone``, ``password``, ``client_user``,
        ``ticket``, and any name of the environment file.
    """
    given = {
        _SHORT_NAMES.get(name, name): value for name, value in options.items() if value is not None
    }
    file = _existing_file(given.pop("env_file", None))
    configured = _read_environment_file(file) | _read_variables()
    settings = configured | given
    scheme = str(settings.get("irods_authentication_scheme", "native")).lower()
    password = settings.get("password") or os.environ.get("IRODS_PASSWORD")
    user, zone = _required(settings, "irods_user_name"), _required(settings, "irods_zone_name")
    if password is None and user != "anonymous":
        # iinit stores a native password, also after a login by PAM.
        password, scheme = _read_iinit_password(settings, file), "native"
    if scheme not in PAM | {"native"}:
        raise ConfigurationError(
            f"irods_authentication_scheme is {scheme!r}; native and pam_password are offered."
        )
    client_user = str(settings.get("client_user", ""))
    # The home that the environment names is that of its own user.
    theirs = not client_user and user == configured.get("irods_user_name")
    home = (settings if theirs else given).get("irods_home")
    return Account(
        host=_required(settings, "irods_host"),
        port=_port(settings.get("irods_port", 1247)),
        user=user,
        zone=zone,
        scheme="native" if scheme == "native" else "pam_password",
        password=password or "",
        ticket=settings.get("ticket", ""),
        default_resource=settings.get("irods_default_resource", ""),
        home=str(home or f"/{zone}/home/{client_user or user}"),
        client_user=client_user,
        policies=_policies(settings, pam=scheme in PAM),
        tls=_tls(settings),
    )


def _existing_file(env_file: str | os.PathLike[str] | None) -> Path | None:
    if env_file is None:
        return environment_file()
    path = Path(env_file).expanduser()
    if not path.is_file():
        raise ConfigurationError(f"There is no iRODS environment file {path}. Run iinit.")
    return path


def _read_environment_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        settings = json.loads(path.read_bytes())
    except ValueError as exc:
        raise ConfigurationError(f"{path} is not JSON: {exc}. Correct it, or run iinit.") from exc
    if not isinstance(settings, dict):
        raise ConfigurationError(f"{path} is not a JSON object. Correct it, or run iinit.")
    return settings


def _read_variables() -> dict[str, Any]:
    excluded = {"IRODS_ENVIRONMENT_FILE", "IRODS_PASSWORD", "IRODS_SERVER_VERSION"}
    return {
        name.lower(): value
        for name, value in os.environ.items()
        if name.startswith("IRODS_") and name not in excluded and value
    }


def _required(settings: Mapping[str, Any], name: str) -> str:
    value = settings.get(name)
    if not value:
        raise ConfigurationError(
            f"No iRODS account is configured: {name} is missing. Run iinit, set "
            f"IRODS_ENVIRONMENT_FILE, or set {name.upper()}."
        )
    return str(value)


def _port(value: object) -> int:
    try:
        return int(str(value))
    except ValueError as exc:
        raise ConfigurationError(f"irods_port is {value!r}; it must be a number.") from exc


def _read_iinit_password(settings: Mapping[str, Any], env_file: Path | None) -> str:
    """Read the password that `iinit` stored, beside the environment file or in its default path."""
    path = Path("~/.irods/.irodsA").expanduser()
    if configured := settings.get("irods_authentication_file"):
        path = Path(configured).expanduser()
    elif env_file is not None and env_file.with_name(".irodsA").is_file():
        path = env_file.with_name(".irodsA")
    uid = settings.get("irods_authentication_uid")
    try:
        text = path.read_text().rstrip("\n")
        if not text.startswith("."):
            raise ValueError("not scrambled as iinit does it")
        return str(decode(text, None if uid is None else int(uid)))
    except FileNotFoundError:
        raise ConfigurationError(f"No iRODS password: {path} is missing. Run iinit.") from None
    except (OSError, ValueError, IndexError, KeyError):
        raise ConfigurationError(f"{path} holds no readable password. Run iinit.") from None


def _policies(settings: Mapping[str, Any], *, pam: bool) -> tuple[str, ...]:
    """Return the TLS policies to try; the client itself does not support ``CS_NEG_DONT_CARE``."""
    policy = settings.get("irods_client_server_policy")
    negotiates = settings.get("irods_client_server_negotiation") == NEGOTIATE
    if pam and not negotiates:
        # Without TLS everyone on the network path could read a PAM password.
        return (REQUIRE,)
    if not negotiates:
        return ()
    if pam and policy == REFUSE:
        raise ConfigurationError(
            "A PAM password is sent over TLS only, and irods_client_server_policy is "
            f"{REFUSE}. Make it {REQUIRE}."
        )
    if policy in (REQUIRE, REFUSE):
        return (policy,)
    return (REQUIRE,) if pam else (REQUIRE, REFUSE)


def _tls(settings: Mapping[str, Any]) -> tuple[tuple[str, str | int], ...]:
    sizes = {name: type(usual)(settings.get(name, usual)) for name, usual in _ENCRYPTION.items()}
    certificates = {name: str(settings[name]) for name in _CERTIFICATES if settings.get(name)}
    return tuple(sorted((sizes | certificates).items()))


def settings_from_url(url: str) -> dict[str, Any]:
    """Return user, host and port of a URL; question marks and the like belong to its path."""
    if not url.startswith(f"{PROTOCOL}://"):
        return {}
    authority = url[len(PROTOCOL) + 3 :].partition("/")[0]
    user, _, address = authority.rpartition("@")
    host, _, port = address.partition(":")
    settings = {"user": user, "host": host, "port": int(port) if port.isdigit() else None}
    return {name: value for name, value in settings.items() if value}
