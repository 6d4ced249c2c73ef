"""A question asked while another one is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class Beside(Generic[T]):
    """A call in a thread of its own, which ends before the block does.

    A pool of threads would not outlive a fork.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._returned: list[T] = []
        self._raised: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="irods-beside", daemon=True)

    def _run(self) -> None:
        try:
            self._returned.append(self._call())
        except BaseException as exc:  # noqa: BLE001 - raised where the result is wanted
            self._raised = exc

    def result(self) -> T:
        """Wait for the call, and return or raise what it did."""
        self._thread.join()
        if self._raised is not None:
            raise self._raised
        return self._returned[0]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.join()
