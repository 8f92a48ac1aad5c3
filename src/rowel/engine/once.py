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


#: Makes the answer from what the command returns: a run, where the answer may have to be made again.
Render = Callable[[Any], Answer]


@dataclass(frozen=True, kw_only=True)
class Once:
    """One request with a key."""

    key: str
    fingerprint: str
    render: Render
    #: Whether it takes many commits. Where its process dies in between, the next such request goes on.
    in_steps: bool = False
    #: When an earlier process began it, for one in steps.
    began: datetime | None = None

    @classmethod
    def of(
        cls, place: Sequence[str], key: str, asked: Any, render: Render, *, in_steps: bool = False
    ) -> Once:
        """`place` says what is asked for and of what, `key` is the client's own for it there, `asked` is the rest of
        the request as JSON. Raises `Invalid`."""
        if not KEY.fullmatch(key):
            raise Invalid(f"{KEY_RULE}.")
        return cls(
            key=fingerprint([*place, key]), fingerprint=fingerprint(asked), render=render, in_steps=in_steps
        )

    def receipt(self, run_id: RunID, now: datetime) -> Receipt:
        """What is kept where the answer follows from the run once that rests, or comes after the last step."""
        return Receipt(key=self.key, fingerprint=self.fingerprint, run_id=run_id, created_at=now)

    def answered(self, seen: RunView, now: datetime) -> Receipt:
        """What is kept where the answer is given at once."""
        return replace(self.receipt(seen.run.id, now), answer=self.render(seen))


class Reply(NamedTuple):
    """The answer to a request with a key."""

    answer: Answer
    run_id: RunID
    #: What this request did; None where an earlier one did it and got this answer.
    seen: Any = None

    @property
    def is_replay(self) -> bool:
        return self.seen is None


#: Does what a request asks for, and keeps its receipt in the same commit: one in steps before the first of them.
Command = Callable[[Once], Awaitable[Any]]


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
        if kept is not None and not _is_left_undone(once, kept):
            return await self._replay(once, kept)
        with self._alone(once):
            try:
                seen = await command(once if kept is None else replace(once, began=kept.created_at))
            except Unavailable:
                raise
            except Exception:
                # Another process may have done the same meanwhile: then this is not refused, but answered.
                found = await self._find(once)
                if found is None or found == kept:
                    raise
                return await self._replay(once, found)
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

    async def _reply(self, once: Once, seen: Any) -> Reply:
        kept = await self._find(once)
        answer = None if kept is None else kept.answer
        if answer is not None and once.in_steps:
            # Another process went on with the same, and ended it first.
            return Reply(answer, seen.run.id)
        return Reply(answer or await self._derive(once, kept, seen), seen.run.id, seen)

    async def _replay(self, once: Once, kept: Receipt) -> Reply:
        if kept.fingerprint != once.fingerprint:
            raise KeyReused
        if once.in_steps and kept.answer is None:
            raise InProgress
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

    async def _derive(self, once: Once, kept: Receipt | None, seen: Any) -> Answer:
        """The answer that follows from what was done. It is kept, unless it follows from a run: one that has ended
        says the same again, and one that moves has no answer yet; but one that is PAUSED goes on later."""
        answer = once.render(seen)
        if kept is None or not (once.in_steps or seen.run.status is RunStatus.PAUSED):
            return answer
        if not await self._house.journal.answer(replace(kept, answer=answer)):
            kept = await self._find(once) or kept
        return kept.answer or answer


def _is_left_undone(once: Once, kept: Receipt) -> bool:
    """Whether nobody ended what was begun, as far as can be seen here."""
    return once.in_steps and kept.answer is None and kept.fingerprint == once.fingerprint
