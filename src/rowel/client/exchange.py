"""How the client talks, apart from who does the talking.

A conversation is a generator of commands (send this, sleep, open that stream): it holds the logic, does no I/O itself,
and is the same for `Client` and `AsyncClient`. A transport carries the commands out, one way or the other.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rowel.client.errors import ConnectionLost
from rowel.client.messages import Answer, Operation, Request

T = TypeVar("T")


@dataclass(frozen=True)
class Send:
    """Send this and read the whole answer. Replied to with an `Answer`; fails with `ConnectionLost`.

    `key` goes along as the Idempotency-Key.
    """

    request: Request
    key: str | None = None


@dataclass(frozen=True)
class Open:
    """Send this and leave the body to be read. Replied to with an `Answer`, whose body is there only if it refuses."""

    request: Request


@dataclass(frozen=True)
class Read:
    """Read on in the open body. Replied to with bytes; None at its end; fails with `ConnectionLost`."""


@dataclass(frozen=True)
class Sleep:
    """Wait. Replied to with None."""

    seconds: float


@dataclass(frozen=True)
class Now:
    """Replied to with the seconds of a clock that only goes forward."""


@dataclass(frozen=True)
class NewKey:
    """Replied to with a text that nobody has used before."""


@dataclass(frozen=True)
class Emit:
    """Hand this to whoever iterates. Replied to with None."""

    value: Any


Command = Send | Open | Read | Sleep | Now | NewKey | Emit
Steps = Generator[Command, Any, T]


class Conversation(Generic[T]):
    """Steps under way: carry out `command`, then `reply` or `fail`, until it is None and `result` is there."""

    command: Command | None
    result: T

    def __init__(self, steps: Steps[T]) -> None:
        self._steps = steps
        self._move(lambda: next(steps))

    def reply(self, value: Any) -> None:
        self._move(lambda: self._steps.send(value))

    def fail(self, error: Exception) -> None:
        self._move(lambda: self._steps.throw(error))

    def close(self) -> None:
        """Leave it where it is."""
        self._steps.close()

    def _move(self, move: Callable[[], Command]) -> None:
        try:
            self.command = move()
        except StopIteration as end:
            self.command, self.result = None, end.value


def now() -> Steps[float]:
    seconds: float = yield Now()
    return seconds


def sleep(seconds: float) -> Steps[None]:
    yield Sleep(seconds)


def read() -> Steps[bytes | None]:
    piece: bytes | None = yield Read()
    return piece


def emit(value: Any) -> Steps[None]:
    yield Emit(value)


def ask(operation: Operation[T], patience_s: float) -> Steps[T]:
    """Do one operation and read its answer.

    Where the server can't be reached or asks to come again, and sending twice does no harm, it is sent again for up to
    `patience_s` seconds. Raises `ConnectionLost`, or what a refusing answer stands for.
    """
    request = operation.request
    key: str | None = (yield NewKey()) if request.is_once else None
    answer = yield from _insist(Send(request, key), patience_s)
    return operation.read(answer)


def open_stream(request: Request, patience_s: float) -> Steps[None]:
    """Open a body to be read. Raises as `ask` does."""
    yield from _insist(Open(request), patience_s)


def _insist(command: Send | Open, patience_s: float) -> Steps[Answer]:
    began = yield from now()
    for delay_s in delays():
        wait_s = delay_s
        trouble: Exception
        try:
            answer: Answer = yield command
        except ConnectionLost as error:
            if error.may_have_arrived and not command.request.may_repeat:
                raise
            trouble = error
        else:
            if not answer.is_refusal:
                return answer
            trouble = answer.refusal()
            if _is_underway(command, answer):
                yield Sleep(answer.retry_after_s or delay_s)
                continue
            if answer.status not in _MAY_PASS or not (_is_untouched(answer) or command.request.may_repeat):
                raise trouble
            wait_s = max(answer.retry_after_s or 0.0, delay_s)
        if (yield from now()) - began + wait_s > patience_s:
            raise trouble
        yield Sleep(wait_s)
    raise AssertionError("delays never end")
