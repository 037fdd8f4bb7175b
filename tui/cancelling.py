"""How work in a thread is stopped: Python cannot do that from outside, so the work's listener ends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from textual.worker import Worker

Told = TypeVar("Told")


class WorkCancelled(BaseException):
    """Unwinds cancelled work.

    Like `asyncio.CancelledError` it is no `Exception`, so that nothing on its way takes it for a fault.
    """


def until_cancelled(worker: Worker[Any], tell: Callable[[Told], object]) -> Callable[[Told], None]:
    """Return a listener that passes on what it is told, and ends the work once its worker is cancelled."""

    def listen(told: Told) -> None:
        if worker.is_cancelled:
            raise WorkCancelled
        tell(told)

    return listen
