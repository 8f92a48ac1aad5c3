"""One decision for many rows of a batch that wait for a person; in each it is a decision of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from rowel.core.errors import (
    Conflict,
    InProgress,
    Invalid,
    InvalidForm,
    NotFound,
    RowelError,
    Unavailable,
)
from rowel.core.outcomes import Fields
from rowel.core.records import Batch, Pause, Run, RunID
from rowel.core.status import PauseAction
from rowel.engine.decisions import Decisions, check_form, check_outputs
from rowel.engine.house import House
from rowel.engine.once import Once
from rowel.engine.reads import get_run
from rowel.engine.standings import find_batch
from rowel.store import pauses, runs
from rowel.store.pauses import Waiting

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Rows whose records are read at a time, and those that are decided at once.
CHUNK = 200
AT_ONCE = 32

CUT_SHORT = "Some rows were decided, then the store went away. Send the same request again: it goes on."


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody decides about many rows."""

    node_id: str
    action: PauseAction
    inputs: Fields
    user_id: str
    comments: str | None = None
    #: Only these rows; None: all that wait at the node.
    rows: Sequence[int] | None = None
    except_rows: Sequence[int] = ()


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A row that was not decided, and why; `run_id` is None where it has not begun."""

    row_index: int
    message: str
    code: str
    run_id: RunID | None = None


@dataclass(kw_only=True)
class Verdict:
    """What became of the decision; `run` is the batch."""

    run: Run
    decided: int = 0
    refused: list[Refused] = field(default_factory=list)

    @property
    def is_cut_short(self) -> bool:
        """Whether the store went away in between."""
        return any(refused.code == Unavailable.code for refused in self.refused)


class RowDecisions:
    """The command that answers the pauses of many rows."""

    def __init__(self, house: House, decisions: Decisions) -> None:
        self._house = house
        self._decisions = decisions

    async def decide(self, run_id: str, wish: Wish, once: Once | None = None) -> Verdict:
        """Answer the oldest open pause at the node in each row. What was begun once is ended: it is about the pauses
        that were open then.

        Raises `NotFound`, `Invalid` where a row is none of the batch's, `InvalidForm` where the answer fits the form
        of no row, and `Conflict` where no row waits at the node. Nothing is decided then. What is done once raises
        `Unavailable` where the store went away in between.
        """
        run, batch = await find_batch(self._house, run_id)
        began = None if once is None else once.began
        waiting = await self._house.database.read(
            lambda connection: pauses.waiting_rows(connection, run.id, wish.node_id, at=began)
        )
        asked = set(waiting if wish.rows is None else wish.rows) - set(wish.except_rows)
        chosen = {row: waiting[row] for row in sorted(asked & waiting.keys())}
        if began is None:
            await self._check(run, batch, wish, waiting)
            await self._check_form(list(chosen.values()), wish)
            began = None if once is None else await self._begin(once, run, chosen)
        verdict = Verdict(run=run, refused=await self._not_waiting(run, wish, sorted(asked - waiting.keys())))
        await self._decide_all(chosen, wish, verdict, began)
        verdict.refused.sort(key=lambda refused: refused.row_index)
        return verdict

    async def _begin(self, once: Once, run: Run, chosen: Mapping[int, Waiting]) -> datetime:
        """Keep the receipt; return the moment of the decision, by which those who go on with it know what it is about:
        no pause of it is younger, also where another machine's clock is ahead."""
        moment = max([self._house.now(), *(waiting.pause_time for waiting in chosen.values())])
        if not await self._house.journal.keep(once.receipt(run.id, moment)):
            raise InProgress
        return moment

    async def _check(self, run: Run, batch: Batch, wish: Wish, waiting: Mapping[int, Waiting]) -> None:
        """Refuse what can't be. A node where rows wait may be one of a run inside, which the workflow has not."""
        seen = await get_run(self._house, run.id)
        if not waiting and not seen.program.has(wish.node_id.rpartition(".")[2]):
            raise NotFound(f"node_id: the workflow of run {run.id} has no node {wish.node_id[:128]!r}.")
        for name, rows in (("rows", wish.rows or ()), ("except_rows", wish.except_rows)):
            strange = next((row for row in rows if row not in batch.rows), None)
            if strange is not None:
                raise Invalid(f"{name}: the batch {run.id} runs no row {strange}.")
        check_outputs(wish.inputs)
        if not waiting and wish.rows is None:
            raise Conflict(
                f"The batch {run.id} is {run.status}; no row waits at node {wish.node_id!r}.", "not_paused"
            )

    async def _check_form(self, chosen: Sequence[Waiting], wish: Wish) -> None:
        """Refuse an answer that doesn't fit. The form is the node's, alike in all rows."""
        if wish.action is PauseAction.DECLINE or not chosen:
            return
        ((pause, _),) = await self._house.database.read(
            lambda connection: pauses.of_ids(connection, [chosen[0].pause_id])
        )
        check_form(pause, wish.inputs)

    async def _not_waiting(self, run: Run, wish: Wish, rows: Sequence[int]) -> list[Refused]:
        """The rows that were asked for and don't wait at the node."""
        found: dict[int | None, Run] = {}
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            found |= await self._house.database.read(lambda connection: _rows_at(connection, run.id, chunk))  # noqa: B023  # read at once
        return [_refused_unasked(row, found.get(row), wish) for row in rows]

    async def _decide_all(
        self, chosen: Mapping[int, Waiting], wish: Wish, verdict: Verdict, began: datetime | None
    ) -> None:
        places = list(chosen)
        for start in range(0, len(places), CHUNK):
            some = {row: chosen[row] for row in places[start : start + CHUNK]}
            try:
                await self._decide_some(some, wish, verdict, began)
            except Unavailable as error:
                verdict.refused += [_refused(row, waiting, error) for row, waiting in some.items()]
        if verdict.is_cut_short and not verdict.decided:
            raise Unavailable
        if verdict.is_cut_short and began is not None:
            raise Unavailable(CUT_SHORT)

    async def _decide_some(
        self, some: Mapping[int, Waiting], wish: Wish, verdict: Verdict, began: datetime | None
    ) -> None:
        row_of = {waiting.pause_id: row for row, waiting in some.items()}
        found = await self._house.database.read(lambda connection: pauses.of_ids(connection, list(row_of)))
        for start in range(0, len(found), AT_ONCE):
            deciding = (
                self._decide_one(pause, run, wish, began) for pause, run in found[start : start + AT_ONCE]
            )
            errors = await asyncio.gather(*deciding)
            for (pause, _), error in zip(found[start:], errors, strict=False):
                row = row_of[pause.id]
                if error is None:
                    verdict.decided += 1
                else:
                    verdict.refused.append(_refused(row, some[row], error))

    async def _decide_one(
        self, pause: Pause, run: Run, wish: Wish, began: datetime | None
    ) -> RowelError | None:
        """Answer a pause; return why it can't be. None too where this very decision was written before."""
        if _is_decided(pause, wish, began):
            return None
        try:
            if wish.action is not PauseAction.DECLINE:
                check_form(pause, wish.inputs)
            await self._decisions.answer(
                run, pause, wish.action, wish.inputs, wish.user_id, wish.comments, began
            )
        except Conflict as error:
            # Another process that got the same request may work beside this one.
            return None if began is not None and await self._is_decided_by_now(pause, wish, began) else error
        except (InvalidForm, Unavailable) as error:
            return error
        return None

    async def _is_decided_by_now(self, pause: Pause, wish: Wish, began: datetime) -> bool:
        now = await self._house.database.read(lambda connection: pauses.get(connection, pause.id))
        return now is not None and _is_decided(now, wish, began)


def _is_decided(pause: Pause, wish: Wish, began: datetime | None) -> bool:
    """Whether this pause was answered by the decision that was begun at this moment, which all its answers carry."""
    if began is None or pause.resume_time != began:
        return False
    return (pause.resume_user_id, pause.resume_action) == (wish.user_id, wish.action)


def _rows_at(connection: Connection, batch_id: str, rows: Sequence[int]) -> dict[int | None, Run]:
    return {run.row_index: run for run in runs.rows_at(connection, batch_id, rows)}


def _refused(row: int, waiting: Waiting, error: RowelError) -> Refused:
    return Refused(row_index=row, run_id=waiting.row_id, message=error.message, code=error.code)


def _refused_unasked(row: int, run: Run | None, wish: Wish) -> Refused:
    told = "has not begun" if run is None else f"is {run.status}; it does not wait at node {wish.node_id!r}"
    run_id = None if run is None else run.id
    return Refused(row_index=row, run_id=run_id, message=f"Row {row} {told}.", code="not_paused")
