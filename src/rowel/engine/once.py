"""Requests that are done once, however often they come."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from rowel.core.errors import InProgress, Invalid, KeyReused, Unavailable
from rowel.core.jsontext import fingerprint
from rowel.core.records import Answer, Receipt, RunID
from rowel.core.status import RunStatus
from rowel.engine.house import House
from rowel.engine.reads import get_run
from rowel.engine.views import RunView
from rowel.store import receipts

#: What clients may choose as a key.
KEY = re.compile("[ -~]{1,255}")
KEY_RULE = "an idempotency key has 1 to 255 printable ASCII characters"


Render = Callable[[RunView], Answer]


@dataclass(frozen=True, kw_only=True)
class Once:
    """One request with a key. `render` makes its answer from the run that it is about."""

    key: str
    fingerprint: str
    render: Render

    @classmethod
    def of(cls, place: Sequence[str], key: str, asked: Any, render: Render) -> Once:
        """`place` says what is asked for and of what, `key` is the client's own for it there, `asked` is the rest of
        the request as JSON. Raises `Invalid`."""
        if not KEY.fullmatch(key):
            raise Invalid(f"{KEY_RULE}.")
        return cls(key=fingerprint([*place, key]), fingerprint=fingerprint(asked), render=render)

    def receipt(self, run_id: RunID, now: datetime) -> Receipt:
        """What is kept where the answer follows from the run once that rests."""
        return Receipt(key=self.key, fingerprint=self.fingerprint, run_id=run_id, created_at=now)

    def answered(self, seen: RunView, now: datetime) -> Receipt:
        """What is kept where the answer is given at once."""
        return replace(self.receipt(seen.run.id, now), answer=self.render(seen))


class Reply(NamedTuple):
    """The answer to a request with a key."""

    answer: Answer
    run_id: RunID
    #: What this request did; None where an earlier one did it and got this answer.
    seen: RunView | None = None

    @property
    def is_replay(self) -> bool:
        return self.seen is None


#: Does what a request asks for, and keeps its receipt in the same commit.
Command = Callable[[Once], Awaitable[RunView]]


class Receipts:
    """Answers requests with a key."""

    def __init__(self, house: House) -> None:
        self._house = house
        #: What is worked on in this process: fingerprints by key.
        self._under_way: dict[str, str] = {}

    async def do(self, once: Once, command: Command) -> Reply:
        """Run the command; where that was done before, answer again as then.

        Raises what the command raises, `InProgress` while the first request is worked on, and `KeyReused` where the
        first request with this key asked for something else.
        """
        kept = await self._find(once)
        if kept is not None:
            return await self._replay(once, kept)
        with self._alone(once):
            try:
                seen = await command(once)
            except Unavailable:
                raise
            except Exception:
                # Another process may have done the same meanwhile: then this is not refused, but answered.
                kept = await self._find(once)
                if kept is None:
                    raise
                return await self._replay(once, kept)
            return await self._reply(once, seen)

    @contextmanager
    def _alone(self, once: Once) -> Iterator[None]:
        first = self._under_way.get(once.key)
        if first is not None:
            raise InProgress if first == once.fingerprint else KeyReused
        self._under_way[once.key] = once.fingerprint
        try:
            yield
        finally:
            del self._under_way[once.key]

    async def _find(self, once: Once) -> Receipt | None:
        now = self._house.now()
        return await self._house.database.read(lambda connection: receipts.get(connection, once.key, now))

    async def _reply(self, once: Once, seen: RunView) -> Reply:
        kept = await self._find(once)
        answer = None if kept is None else kept.answer
        return Reply(answer or await self._derive(once, kept, seen), seen.run.id, seen)

    async def _replay(self, once: Once, kept: Receipt) -> Reply:
        if kept.fingerprint != once.fingerprint:
            raise KeyReused
        answer = kept.answer or await self._derive(once, kept, await self._rested(kept.run_id))
        return Reply(answer, kept.run_id)

    async def _rested(self, run_id: RunID) -> RunView:
        seen = await get_run(self._house, run_id)
        if not seen.run.rests:
            raise InProgress(
                f"The first request with this Idempotency-Key is still being worked on: run {run_id} is "
                f"{seen.run.status}. Try again later."
            )
        return seen

    async def _derive(self, once: Once, kept: Receipt | None, seen: RunView) -> Answer:
        """The answer that follows from the run. A PAUSED one goes on later, so that its answer must be kept; what has
        ended says the same again, and what moves has no answer yet."""
        answer = once.render(seen)
        if kept is None or seen.run.status is not RunStatus.PAUSED:
            return answer
        if not await self._house.journal.answer(replace(kept, answer=answer)):
            kept = await self._find(once) or kept
        return kept.answer or answer
