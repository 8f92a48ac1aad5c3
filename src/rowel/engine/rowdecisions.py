"""One decision for many rows of a batch that wait for a person; in each it is a decision of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rowel.core.errors import Conflict, Invalid, InvalidForm, NotFound, Unavailable
from rowel.core.outcomes import Fields
from rowel.core.records import Batch, Pause, Run, RunID
from rowel.core.status import PauseAction
from rowel.engine.decisions import Decisions, check_form, check_outputs
from rowel.engine.house import House
from rowel.engine.reads import get_run
from rowel.engine.standings import find_batch
from rowel.store import pauses, runs

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Rows whose records are read at a time, and those that are decided at once.
CHUNK = 200
AT_ONCE = 32


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
    """What became of the decision."""

    decided: int = 0
    refused: list[Refused] = field(default_factory=list)


class RowDecisions:
    """The command that answers the pauses of many rows."""

    def __init__(self, house: House, decisions: Decisions) -> None:
        self._house = house
        self._decisions = decisions

    async def decide(self, run_id: str, wish: Wish) -> Verdict:
        """Answer the oldest open pause at the node in each row.

        Raises `NotFound`, `Invalid` where a row is none of the batch's, `InvalidForm` where the answer fits the form
        of no row, and `Conflict` where no row waits at the node. Nothing is decided then.
        """
        run, batch = await find_batch(self._house, run_id)
        await self._check(run, batch, wish)
        waiting = await self._house.database.read(
            lambda connection: pauses.waiting_rows(connection, run.id, wish.node_id)
        )
        asked = set(waiting if wish.rows is None else wish.rows) - set(wish.except_rows)
        if not waiting and wish.rows is None:
            raise Conflict(
                f"The batch {run.id} is {run.status}; no row waits at node {wish.node_id!r}.", "not_paused"
            )
        chosen = {row: waiting[row] for row in sorted(asked & waiting.keys())}
        await self._check_form(list(chosen.values()), wish)
        verdict = Verdict(refused=await self._not_waiting(run, wish, sorted(asked - waiting.keys())))
        await self._decide_all(chosen, wish, verdict)
        verdict.refused.sort(key=lambda refused: refused.row_index)
        return verdict

    async def _check(self, run: Run, batch: Batch, wish: Wish) -> None:
        seen = await get_run(self._house, run.id)
        if not seen.program.has(wish.node_id.rpartition(".")[2]):
            raise NotFound(f"node_id: the workflow of run {run.id} has no node {wish.node_id[:128]!r}.")
        for name, rows in (("rows", wish.rows or ()), ("except_rows", wish.except_rows)):
            strange = next((row for row in rows if row not in batch.rows), None)
            if strange is not None:
                raise Invalid(f"{name}: the batch {run.id} runs no row {strange}.")
        check_outputs(wish.inputs)

    async def _check_form(self, pause_ids: Sequence[str], wish: Wish) -> None:
        """Refuse an answer that doesn't fit. The form is the node's, alike in all rows."""
        if wish.action is PauseAction.DECLINE or not pause_ids:
            return
        ((pause, _),) = await self._house.database.read(
            lambda connection: pauses.of_ids(connection, pause_ids[:1])
        )
        check_form(pause, wish.inputs)

    async def _not_waiting(self, run: Run, wish: Wish, rows: Sequence[int]) -> list[Refused]:
        """The rows that were asked for and don't wait at the node."""
        found: dict[int | None, Run] = {}
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            found |= await self._house.database.read(lambda connection: _rows_at(connection, run.id, chunk))  # noqa: B023  # read at once
        return [_refused_unasked(row, found.get(row), wish) for row in rows]

    async def _decide_all(self, chosen: Mapping[int, str], wish: Wish, verdict: Verdict) -> None:
        places = list(chosen)
        for start in range(0, len(places), CHUNK):
            rows = places[start : start + CHUNK]
            try:
                await self._decide_some([chosen[row] for row in rows], wish, verdict)
            except Unavailable as error:
                verdict.refused += [
                    Refused(row_index=row, message=error.message, code=error.code) for row in rows
                ]
        if not verdict.decided and any(refused.code == Unavailable.code for refused in verdict.refused):
            raise Unavailable

    async def _decide_some(self, pause_ids: Sequence[str], wish: Wish, verdict: Verdict) -> None:
        found = await self._house.database.read(lambda connection: pauses.of_ids(connection, pause_ids))
        for start in range(0, len(found), AT_ONCE):
            some = found[start : start + AT_ONCE]
            await asyncio.gather(*(self._decide_one(pause, row, wish, verdict) for pause, row in some))

    async def _decide_one(self, pause: Pause, row: Run, wish: Wish, verdict: Verdict) -> None:
        try:
            if wish.action is not PauseAction.DECLINE:
                check_form(pause, wish.inputs)
            await self._decisions.answer(row, pause, wish.action, wish.inputs, wish.user_id, wish.comments)
        except (Conflict, InvalidForm, Unavailable) as error:
            index = row.row_index or 0
            verdict.refused.append(
                Refused(row_index=index, run_id=row.id, message=error.message, code=error.code)
            )
        else:
            verdict.decided += 1


def _rows_at(connection: Connection, batch_id: str, rows: Sequence[int]) -> dict[int | None, Run]:
    return {run.row_index: run for run in runs.rows_at(connection, batch_id, rows)}


def _refused_unasked(row: int, run: Run | None, wish: Wish) -> Refused:
    told = "has not begun" if run is None else f"is {run.status}; it does not wait at node {wish.node_id!r}"
    run_id = None if run is None else run.id
    return Refused(row_index=row, run_id=run_id, message=f"Row {row} {told}.", code="not_paused")
