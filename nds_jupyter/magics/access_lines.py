"""Line magics about access to the data root: one's login, and tickets for others."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from IPython.core.error import StdinNotImplementedError, UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class

from nds_jupyter.client.display import Table
from nds_jupyter.data.entries import Ticket
from nds_jupyter.magics.parser import at_least, magic_options, option, parse_duration
from nds_jupyter.magics.session import MagicsSession
from nds_jupyter.rest.views import DataLoginView

NEVER = "never"


@magics_class
class AccessLines(Magics):
    """Line magics about access to the data root.

    Parameters
    ----------
    session
        Gives the client.
    """

    def __init__(self, shell: InteractiveShell, session: MagicsSession) -> None:
        super().__init__(shell)
        self._session = session

    @line_magic
    @magic_options(
        option("--user", metavar="NAME", help="Your iRODS user, if not of your own name."),
        option(
            "--scheme",
            choices=["native", "pam_password", "pam_interactive"],
            help="How the zone proves you; default: as the server's iRODS environment says.",
        ),
        option("--status", action="store_true", help="Only say whether you are logged in."),
        option("--out", action="store_true", help="Log out: the server forgets the login."),
        examples="%ndslogin\n%ndslogin --user alovelace --scheme pam_password\n%ndslogin --out",
    )
    def ndslogin(self, options: argparse.Namespace) -> Table:
        """Log in to the data root; the password, or a token, is asked for and never shown."""
        data = self._session.client.data
        if options.out:
            data.logout()
        elif not options.status:
            try:
                return _login_table(data.login(user=options.user, scheme=options.scheme))
            except StdinNotImplementedError:
                raise UsageError(
                    "There is nobody to ask for the password here. Log in from a notebook that is "
                    "open, or by nds_jupyter.Client().data.login(password)."
                ) from None
        return _login_table(data.login_status())

    @line_magic
    @magic_options(
        option(
            "path",
            nargs="?",
            completes="data",
            help="What to share: an object, or a collection with all it holds.",
        ),
        option("--read", action="store_true", help="Let others read it; the default."),
        option("--write", action="store_true", help="Let others write too."),
        option(
            "--expires", metavar="TIME", help="When it ends: 12h, 7d (default), a date, or never."
        ),
        option(
            "--uses",
            type=at_least(1),
            help="How often it may be used: connections that read, or objects that are written.",
        ),
        option("--list", action="store_true", help="List your tickets, for the path or all."),
        option("--revoke", metavar="TICKET", help="End a ticket: nobody uses it any more."),
        examples="%ndsshare study/run-1 --read --expires 7d\n%ndsshare --list\n"
        "%ndsshare --revoke 3kQ…",
    )
    def ndsshare(self, options: argparse.Namespace) -> Table:
        """Share data by a ticket of iRODS, which whoever has it can use; list and end tickets."""
        data = self._session.client.data
        if options.revoke is not None:
            data.revoke(options.revoke)
            return _ticket_table(data.tickets(options.path))
        if options.list:
            return _ticket_table(data.tickets(options.path))
        if options.path is None:
            raise UsageError("Name what to share; or say --list, or --revoke TICKET.")
        if options.read and options.write:
            raise UsageError("--read, --write: give one of them; who may write may read.")
        expires = parse_expiry(options.expires)
        made = data.share(options.path, write=options.write, expires=expires, uses=options.uses)
        rows = [
            ("path", made.path),
            ("ticket", made.ticket),
            ("until", made.expires or NEVER),
            *ways_to_use(made),
        ]
        return Table(("what", "value"), rows)


def parse_expiry(text: str | None) -> datetime | str | None:
    """Return when a ticket ends, by a duration from now or a date; `never`, or None if not said."""
    if text is None or text == NEVER:
        return text
    duration = parse_duration(text)
    if duration is not None:
        return datetime.now(UTC) + duration
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError as exc:
        message = f"--expires: {text!r} is no time. Write it like 12h, 7d, 2026-01-31, or never."
        raise UsageError(message) from exc


def ways_to_use(ticket: Ticket) -> list[tuple[str, str]]:
    """Return how others use a ticket, in Python and at a shell."""
    path = ticket.url.split("/", 3)[3] if ticket.url.count("/") > 3 else ticket.path.lstrip("/")
    get = f'fs = fsspec.filesystem("irods", ticket="{ticket.ticket}"); fs.get("/{path}", "here")'
    ways = [("in Python", get), ("at a shell", f'iget -t {ticket.ticket} "/{path}"')]
    if ticket.write:
        ways.append(("to write", f'iput -f -t {ticket.ticket} FILE "/{path}"'))
    return ways


def _login_table(view: DataLoginView) -> Table:
    until = view.expires or ("" if view.identity == "own" else NEVER)
    return Table(
        ("identity", "user", "logged in", "until"),
        [(view.identity, view.user or "", view.logged_in, until)],
    )


def _ticket_table(tickets: list[Ticket]) -> Table:
    rows = [
        (
            each.path,
            "write" if each.write else "read",
            each.expires or NEVER,
            each.uses if each.uses_limit is None else f"{each.uses} of {each.uses_limit}",
            each.ticket,
        )
        for each in tickets
    ]
    return Table(("path", "lets", "until", "uses", "ticket"), rows)
