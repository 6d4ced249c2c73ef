"""Logins of owners to the data root, where each opens it with an account of their own."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import msgspec

from nds_jupyter.data.data_identity import DataIdentity, OwnIdentity, UserOf, user_of_owner
from nds_jupyter.data.data_roots import DataRoots
from nds_jupyter.errors import (
    Conflict,
    DataError,
    DataLoginRequired,
    DataUnavailable,
    DeadlineExceeded,
    Forbidden,
    InvalidRequest,
    NdsError,
    NotOffered,
    TooBusy,
)
from nds_jupyter.rest.queries import DataLoginRequest
from nds_jupyter.rest.views import DataLoginView

ANSWER_DEADLINE = 120.0
"""Seconds that an interactive login waits for an answer."""

LOGIN_DEADLINE = 60.0
"""Seconds that the zone may take to accept a login, or to ask something."""

MAX_LOGINS = 16
"""Logins under way at one time; each has a thread and a connection."""

INTERACTIVE = "pam_interactive"

AskUser = Callable[[str, bool], str]


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """Question of an interactive login; `secret` says whether the answer is one."""

    text: str
    secret: bool


class Conversation:
    """Login in a thread of its own, which asks its owner by way of requests and their answers.

    Parameters
    ----------
    owner
        Nobody else may answer.
    prove
        Logs in, and returns the password to keep; it is called with a function that asks.
    """

    def __init__(
        self, owner: str, threads: ThreadPoolExecutor, prove: Callable[[AskUser], str]
    ) -> None:
        self.owner = owner
        self._loop = asyncio.get_running_loop()
        self._prompts: asyncio.Queue[Prompt] = asyncio.Queue()
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._password = asyncio.wrap_future(threads.submit(prove, self._ask))
        # An error that comes when nobody waits any more is no defect.
        self._password.add_done_callback(lambda done: done.cancelled() or done.exception())

    def answer(self, text: str) -> None:
        """Answer what was asked last."""
        self._answers.put(text)

    def give_up(self) -> None:
        """End the login."""
        self._answers.put(None)

    async def proceed(self) -> str | Prompt:
        """Return the password to keep, or what is asked next."""
        prompt = asyncio.ensure_future(self._prompts.get())
        try:
            waited_for: set[asyncio.Future[object]] = {prompt, self._password}  # type: ignore[arg-type]
            await asyncio.wait(
                waited_for, timeout=LOGIN_DEADLINE, return_when=asyncio.FIRST_COMPLETED
            )
            if prompt.done():
                return prompt.result()
            if self._password.done():
                return self._password.result()
        finally:
            prompt.cancel()
        self.give_up()
        raise DeadlineExceeded("The zone has not answered the login in time. Try again.")

    @property
    def is_over(self) -> bool:
        """Whether the login has succeeded or failed."""
        return self._password.done()

    def _ask(self, prompt: str, secret: bool) -> str:
        self._loop.call_soon_threadsafe(
            self._prompts.put_nowait, Prompt(text=prompt[:1000], secret=secret)
        )
        try:
            answer = self._answers.get(timeout=ANSWER_DEADLINE)
        except queue.Empty:
            answer = None
        if answer is None:
            raise DataLoginRequired("The login was given up. Run %ndslogin again.")
        return answer


class DataLogins:
    """Logins of owners to the data root.

    Parameters
    ----------
    identity
        Says whether owners log in at all.
    data_roots
        Those of an owner who logs out are closed.
    user_of
        Gives the iRODS user of an owner who names none.
    hours
        For which a login is kept.
    """

    def __init__(
        self, identity: DataIdentity, data_roots: DataRoots, user_of: UserOf, hours: int
    ) -> None:
        self._identity = identity
        self._data_roots = data_roots
        self._user_of = user_of
        self._hours = hours
        self._threads = ThreadPoolExecutor(MAX_LOGINS, thread_name_prefix="nds-login")
        self._conversations: dict[str, Conversation] = {}

    async def close(self) -> None:
        """End the logins that are under way."""
        for conversation in self._conversations.values():
            conversation.give_up()
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)

    def describe(self, owner: str) -> DataLoginView:
        """Return whose account opens an owner's data root."""
        identity = self._identity
        if not isinstance(identity, OwnIdentity):
            with contextlib.suppress(Forbidden):
                user = identity.login_id(identity.key(owner))
                return DataLoginView(identity=identity.name, user=user or None)
            return DataLoginView(identity=identity.name, logged_in=False)
        try:
            login = identity.logins.find(owner)
        except DataLoginRequired:
            usual = None
            with contextlib.suppress(Forbidden):
                usual = user_of_owner(self._user_of, owner)
            return DataLoginView(identity=identity.name, user=usual, logged_in=False)
        return DataLoginView(identity=identity.name, user=login.user, expires=login.expires)

    async def log_in(self, owner: str, request: DataLoginRequest) -> DataLoginView:
        """Log an owner in, or answer what an interactive login asks, and return how it stands.

        Raises
        ------
        DataLoginRequired
            If the zone does not accept the user and the password.
        NotOffered
            If owners do not log in.
        """
        identity = self._require_own()
        if request.conversation is not None:
            name, conversation = request.conversation, self._continue(owner, request)
        else:
            name, conversation = self._begin(owner, identity, request)
        user, _, _ = name.partition("/")
        with _login_errors(user):
            reached = await conversation.proceed()
        if isinstance(reached, Prompt):
            self._conversations[name] = conversation
            return DataLoginView(
                identity=identity.name,
                user=user,
                logged_in=False,
                conversation=name,
                prompt=reached.text,
                secret=reached.secret,
            )
        await self._keep(identity, owner, user, reached)
        return self.describe(owner)

    async def log_out(self, owner: str) -> None:
        """Forget the login of an owner, and close what was opened with it."""
        identity = self._require_own()
        await asyncio.to_thread(identity.logins.remove, owner)
        await self._data_roots.revoke(owner)

    def _require_own(self) -> OwnIdentity:
        if isinstance(self._identity, OwnIdentity):
            return self._identity
        raise NotOffered(
            f"c.NdsApp.data_identity is {self._identity.name}: this server opens the data root "
            "with its own account, and there is nothing to log in to."
        )

    def _begin(
        self, owner: str, identity: OwnIdentity, request: DataLoginRequest
    ) -> tuple[str, Conversation]:
        if request.answer is not None:
            raise InvalidRequest("answer: it belongs to a conversation, and none is named.")
        user = user_of_owner(self._user_of if request.user is None else str, request.user or owner)
        interactive = request.scheme == INTERACTIVE
        if interactive == (request.password is not None):
            problem = "an interactive login asks for it" if interactive else "it is missing"
            raise InvalidRequest(f"password: {problem}.")
        self._conversations = {
            name: each for name, each in self._conversations.items() if not each.is_over
        }
        if len(self._conversations) >= MAX_LOGINS:
            raise TooBusy("Too many logins are under way. Try again soon.", retry_after=10)
        with _login_errors(user):
            account = identity.account(owner, user, request.password or "", request.scheme)

        def prove(ask: AskUser) -> str:
            from nds_jupyter.data.irods.login import log_in

            return log_in(account, hours=self._hours, ask=ask).password

        name = f"{user}/{secrets.token_urlsafe(16)}"
        return name, Conversation(owner, self._threads, prove)

    def _continue(self, owner: str, request: DataLoginRequest) -> Conversation:
        if request.answer is None or request.password is not None:
            raise InvalidRequest("answer: a conversation goes on with it, and with nothing else.")
        conversation = self._conversations.get(request.conversation or "")
        if conversation is None or conversation.owner != owner:
            raise Conflict("conversation: there is none of this name any more. Begin again.")
        del self._conversations[request.conversation or ""]
        conversation.answer(request.answer)
        return conversation

    async def _keep(self, identity: OwnIdentity, owner: str, user: str, password: str) -> None:
        expires = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=self._hours)
        await asyncio.to_thread(
            identity.keep, owner=owner, user=user, password=password, expires=expires
        )
        # What is held of the owner's root goes on with the new login.
        with contextlib.suppress(NdsError):
            await self._data_roots.for_owner(owner)


@contextlib.contextmanager
def _login_errors(user: str) -> Iterator[None]:
    """Turn what a login raises into our errors; none of them has more of it than the user."""
    from nds_jupyter.data.irods import AuthenticationFailed, ConfigurationError, ZoneUnavailable

    try:
        yield
    except AuthenticationFailed as exc:
        raise DataLoginRequired(
            f"iRODS does not accept the user {user} or the password. Try again."
        ) from exc
    except ZoneUnavailable as exc:
        raise DataUnavailable(f"{exc.strerror}.") from exc
    except TimeoutError as exc:
        raise DeadlineExceeded("The zone has not answered the login in time. Try again.") from exc
    except (OSError, ConfigurationError) as exc:
        said = getattr(exc, "strerror", None) or str(exc)
        if "INVALID_TTL" in said:
            said = (
                "the zone gives no password for PAM for so long. Ask who runs this server to lower "
                "c.NdsApp.data_login_hours"
            )
        raise DataError(f"The login failed: {said.rstrip('.')}.") from exc
