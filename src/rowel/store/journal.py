"""The only writer of run state. Every method is one group of records that lands as a whole or says that it did not.

Nobody outside `engine` imports this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from rowel.core.errors import NotFound
from rowel.core.outcomes import Usage
from rowel.core.records import Batch, Event, OutputFile, Pause, PauseID, Receipt, Run, RunID, Task
from rowel.core.signatures import signature_of
from rowel.core.status import EventKind, PauseAction, RunStatus, TaskStatus
from rowel.core.stepcache import CacheEntry
from rowel.store import events, handovers, rows
from rowel.store.dialect import Result
from rowel.store.news import Job
from rowel.store.receipts import LIFETIME
from rowel.store.statements import Statement, Step
from rowel.store.transitions import Transitions
from rowel.store.writer import Writer

#: The queues that workers take jobs from.
INTERACTIVE_QUEUE = "interactive"
BATCH_QUEUE = "batch"

#: What an event says, before it has its number.
Fact = tuple[EventKind, Mapping[str, Any]]


def numbered(last: int, facts: Sequence[Fact]) -> list[Event]:
    """The events that a landed group left; `last` is the number of its last one."""
    return events.numbered(last, _bodies(facts))


def _bodies(facts: Sequence[Fact]) -> list[dict[str, Any]]:
    return [{"kind": kind.value, **fact} for kind, fact in facts]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a runner wants written as one group."""

    tasks: Sequence[Task] = ()
    pauses: Sequence[Pause] = ()
    facts: Sequence[Fact] = ()
    #: What the run has spent in all; a batch adds it up once its row has ended.
    usage: Usage | None = None
    #: For the request that begins the run.
    receipt: Receipt | None = None
    #: What nodes gave, for the step cache.
    entries: Sequence[CacheEntry] = ()


@dataclass(frozen=True, kw_only=True)
class Rest:
    """How a run comes to rest: PAUSED, or its end."""

    status: RunStatus
    message: str | None
    end_time: datetime | None
    #: The signals the runner has seen; more of them mean there is work left and the rest does not land.
    signals: int


class Taken(NamedTuple):
    """What the new owner of a run needs to know."""

    seq: int
    epoch: int
    signals: int


class Answered(NamedTuple):
    """A landed decision: the run's newest event and its status now."""

    seq: int
    status: RunStatus


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a person said about a pause, and what that makes of its task."""

    pause_id: PauseID
    run_id: RunID
    #: None where time ran out and the node fails.
    action: PauseAction | None
    user_id: str
    inputs: Mapping[str, Any]
    comments: str | None
    time: datetime
    #: None where a batch waits for what becomes of its canary.
    task: Task | None
    #: For the request that decides: one for each status that the run may then have. The true one is kept.
    receipts: Mapping[RunStatus, Receipt] = field(default_factory=dict)


class Fence(NamedTuple):
    """The lane that begins a row, and the epoch by which it is still its worker's."""

    lane: int
    epoch: int


class Journal:
    """Writes run state through the process's one writer."""

    def __init__(self, writer: Writer, transitions: Transitions, *, has_workers: bool = False) -> None:
        """`has_workers`: other processes move the runs; what is accepted is put into their queue."""
        self._writer = writer
        self._sql = transitions
        self._has_workers = has_workers

    async def begin(
        self,
        run: Run,
        changes: Changes,
        *,
        batch: Batch | None = None,
        output_file: OutputFile | None = None,
        persistent: bool = False,
        fence: Fence | None = None,
        cursor: int | None = None,
    ) -> bool:
        """Make a run, with what is already known of its tasks. Of a row, `fence` names the lane that begins it;
        without one, `cursor` is that of its batch, if rows between are left out.

        False where its owner has ended meanwhile, or has this row's or this task's run already. Raises `NotFound`
        where a run that it names is gone, and the driver's error where the receipt's key was taken meanwhile.
        """
        stamp = self._writer.next_stamp()
        values = {**rows.run_values(run), "stamp": stamp, "seq": len(changes.facts)}
        insert = self._insertion(run)
        if fence is not None:
            insert = self._sql.insert_row_of_lane
            values |= {"lane": fence.lane, "lane_epoch": fence.epoch}
        steps = [insert.bind(values), *self._parts(run.id, stamp, changes, run)]
        if batch is not None and output_file is not None:
            own = {**rows.batch_values(batch), "stamp": stamp}
            steps.append(self._sql.insert_batch.bind(own))
            file = {**rows.output_file_values(output_file), "stamp": stamp}
            steps.append(self._sql.insert_output_file.bind(file))
        if run.row_index is not None and fence is None:
            place = {"row_index": run.row_index, "cursor": run.row_index if cursor is None else cursor}
            own = {"owner_id": run.owner_id, "run_id": run.id, "stamp": stamp}
            steps.append(self._sql.claim_row.bind({**own, **place}))
        if run.status.is_final or run.status is RunStatus.PAUSED:
            steps += self._tell_owner(run, run.status, stamp, run.message, changes.usage)
        if changes.receipt is not None:
            steps += self._hand_out({run.status: changes.receipt}, stamp)
        is_accepted = self._has_workers and run.owner_id is None and run.has_work
        results = await self._writer.write(
            steps,
            order=run.owner_id or run.id,
            persistent=persistent,
            behind=run.row_index is not None,
            about=_concerned(run),
            jobs=[job_of(run)] if is_accepted else (),
        )
        if results[0] == 0 and run.owner_id is None:
            raise NotFound("The run that this one names was removed meanwhile; nothing was started.")
        return results[0] != 0

    def _insertion(self, run: Run) -> Statement:
        if run.owner_id is not None:
            return self._sql.insert_owned_run
        names_none = run.origin_id is None and run.parent_run_id is None
        return self._sql.insert_run if names_none else self._sql.insert_naming_run

    async def take(self, run_id: RunID, facts: Sequence[Fact]) -> Taken | None:
        """Take a run over: its former owner's writes no longer land. None where it has no work or has ended."""
        stamp = self._writer.next_stamp()
        guard = self._sql.take.bind({"run_id": run_id, "events": len(facts), "stamp": stamp})
        steps = [guard, *self._parts(run_id, stamp, Changes(facts=facts))]
        row = await self._first_row(steps, [run_id], persistent=True)
        return None if row is None else Taken(*row)

    async def advance(
        self, run: Run, changes: Changes, status: RunStatus | None = None, *, has_progressed: bool = False
    ) -> int | None:
        """Write what became of tasks while the run goes on (with `status`: as this). Return the newest event's
        number, or None where the run has another owner or has ended. A COMPLETED task counts recoveries anew, as does
        whoever says that the run `has_progressed`."""
        stamp = self._writer.next_stamp()
        guard = self._sql.advance if status is None else self._sql.work_again
        values = {
            "run_id": run.id,
            "epoch": run.epoch,
            "events": len(changes.facts),
            "stamp": stamp,
            "is_stuck": int(
                not has_progressed and all(task.status is not TaskStatus.COMPLETED for task in changes.tasks)
            ),
        }
        steps = [guard.bind({**values, "status": status}), *self._parts(run.id, stamp, changes, run)]
        if status is not None:
            steps += self._tell_owner(run, status, stamp)
        row = await self._first_row(steps, _concerned(run), persistent=True, behind=_is_of_batch(run))
        return None if row is None else row[0]

    async def report(self, run: Run, facts: Sequence[Fact]) -> int | None:
        """Tell what was read of an open run, or after it, whoever moves it. Return the newest event's number, or None
        where anything was told since: that may be younger than what was read."""
        stamp = self._writer.next_stamp()
        values = {"run_id": run.id, "last": run.seq, "events": len(facts), "stamp": stamp}
        steps = [self._sql.report.bind(values), *self._parts(run.id, stamp, Changes(facts=facts))]
        row = await self._first_row(steps, [run.id], persistent=True)
        return None if row is None else row[0]

    async def adjust(
        self,
        run_id: RunID,
        facts: Sequence[Fact],
        *,
        window: int | None,
        options: Mapping[str, Any] | None,
    ) -> int | None:
        """Change how an open batch goes on; None stays as it is. Return the newest event's number, or None where it
        has ended."""
        stamp = self._writer.next_stamp()
        own = {"run_id": run_id, "events": len(facts), "stamp": stamp}
        steps = [self._sql.signal.bind(own), *self._parts(run_id, stamp, Changes(facts=facts))]
        if window is not None:
            steps.append(self._sql.set_window.bind({**own, "window": window}))
        if options is not None:
            steps.append(self._sql.set_options.bind({**own, "options": rows.to_text(dict(options))}))
        row = await self._first_row(steps, [run_id], persistent=False)
        return None if row is None else row[0]

    async def rest(self, run: Run, changes: Changes, rest: Rest) -> int | None:
        """Like `advance`, and the run comes to rest. None too where it was given work meanwhile. Rows that a FAILED
        batch did not run count as CANCELED."""
        stamp = self._writer.next_stamp()
        values = _rest_values(run, rest, changes, stamp)
        return await self._rest(run, changes, rest, stamp, [self._sql.rest.bind(values)])

    async def rest_batch(
        self, run: Run, changes: Changes, rest: Rest, *, settled: int, file: OutputFile | None
    ) -> int | None:
        """Like `rest` for a batch of which `settled` rows have ended; `file` is its output, now whole."""
        stamp = self._writer.next_stamp()
        values = {**_rest_values(run, rest, changes, stamp), "settled": settled}
        steps = [self._sql.rest_batch.bind(values)]
        if file is not None:
            steps.append(self._sql.finish_output_file.bind({**values, "file_id": file.id}))
        return await self._rest(run, changes, rest, stamp, steps)

    async def _rest(
        self, run: Run, changes: Changes, rest: Rest, stamp: int, first: Sequence[Step]
    ) -> int | None:
        is_early = rest.status is RunStatus.FAILED and run.is_batch
        steps = [
            *first,
            *self._parts(run.id, stamp, changes, run),
            *([self._sql.cancel_rows.bind({"run_id": run.id, "stamp": stamp})] if is_early else []),
            *self._tell_owner(run, rest.status, stamp, rest.message, changes.usage),
        ]
        row = await self._first_row(steps, _concerned(run), persistent=True, behind=_is_of_batch(run))
        return None if row is None else row[0]

    async def decide(self, run: Run, decision: Decision, facts: Sequence[Fact]) -> Answered | None:
        """Answer a pause. None where somebody was faster or the run has ended. Raises the driver's error where the
        key of the decision's receipts was taken meanwhile."""
        stamp = self._writer.next_stamp()
        values = {**_decision_values(decision), "stamp": stamp, "events": len(facts)}
        tasks = [] if decision.task is None else [decision.task]
        steps = [
            self._sql.answer_pause.bind(values),
            self._sql.resume.bind(values),
            *self._parts(run.id, stamp, Changes(tasks=tasks, facts=facts)),
        ]
        if decision.task is None:
            steps.append(self._sql.release_canary.bind(values))
        if run.owner_id is not None:
            owner = {"owner_id": run.owner_id, "run_id": run.id, "stamp": stamp}
            wake = self._sql.wake if run.row_index is None else self._sql.resume_batch
            steps += [wake.bind(owner), self._sql.wake_owners_batch.bind(owner)]
            steps += self._wake_above(owner)
        steps += self._hand_out(decision.receipts, stamp)
        results = await self._writer.write(steps, order=run.id, about=_concerned(run))
        row = results[1]
        return Answered(row[0], RunStatus(row[1])) if isinstance(row, tuple) else None

    async def cancel(
        self,
        run: Run,
        owned: Sequence[Run],
        *,
        message: str,
        time: datetime,
        facts: Sequence[Fact],
        decision: Decision | None = None,
    ) -> int | None:
        """Cancel a run and the open runs it owns, all at once, and tell `facts` of each. None where it has ended
        already; with a `decision` that refuses the rest of a batch, also where somebody was faster."""
        stamp = self._writer.next_stamp()
        steps: list[Step] = []
        refusal = {} if decision is None else _decision_values(decision)
        if decision is not None:
            steps.append(self._sql.answer_pause.bind({**refusal, "stamp": stamp}))
        first = self._sql.cancel if decision is None else self._sql.cancel_declined
        for one in (run, *owned):
            guard = first if one is run else self._sql.cancel_owned
            values = {
                **refusal,
                "run_id": one.id,
                "root_id": run.id,
                "end_time": rows.to_number(one.ended_at(time)),
                "message": rows.to_text(message),
                "events": len(facts),
                "stamp": stamp,
            }
            steps += [
                guard.bind(values),
                self._sql.cancel_tasks.bind(values),
                self._sql.close_pauses.bind(values),
            ]
            own = [(kind, {**fact, "run_id": one.id}) for kind, fact in facts]
            steps += self._parts(one.id, stamp, Changes(facts=own))
            steps.append(self._sql.cancel_rows.bind(values))
        steps += self._tell_owner(run, RunStatus.CANCELED, stamp)
        if run.owner_id is not None:
            steps += self._wake_above({"owner_id": run.owner_id, "run_id": run.id, "stamp": stamp})
        if decision is not None:
            steps += self._hand_out(decision.receipts, stamp)
        about = [*_concerned(run), *(one.id for one in owned)]
        results = await self._writer.write(steps, order=run.id, about=about)
        row = results[0 if decision is None else 1]
        return row[0] if isinstance(row, tuple) else None

    async def keep(self, receipt: Receipt) -> bool:
        """Keep the receipt of a request before the first of the groups that it takes. False where its key is taken."""
        values = _receipt_values(receipt)
        steps = [*self._make_room(values), self._sql.insert_early_receipt.bind(values)]
        *_, inserted = await self._writer.write(steps, order=receipt.run_id)
        return inserted != 0

    async def answer(self, receipt: Receipt) -> bool:
        """Keep the answer of a request whose receipt has none yet. False where it has one, or is gone."""
        values = rows.receipt_values(receipt)
        (changed,) = await self._writer.write([self._sql.answer_receipt.bind(values)], order=receipt.run_id)
        return changed != 0

    def _hand_out(self, receipts: Mapping[RunStatus, Receipt], stamp: int) -> list[Step]:
        """Keep the receipt for the status that the run has by now."""
        steps: list[Step] = []
        for status, receipt in receipts.items():
            values = {**_receipt_values(receipt), "run_status": status, "stamp": stamp}
            steps += [*([] if steps else self._make_room(values)), self._sql.insert_receipt.bind(values)]
        return steps

    def _make_room(self, values: Mapping[str, Any]) -> list[Step]:
        """Remove the key's receipt if its time is over, and some others."""
        return [self._sql.drop_expired_receipt.bind(values), self._sql.sweep_receipts.bind(values)]

    def _parts(self, run_id: RunID, stamp: int, changes: Changes, run: Run | None = None) -> list[Step]:
        steps = [
            self._sql.write_task.bind(
                {**rows.task_values(task), **handovers.texts(task, run), "stamp": stamp}
            )
            for task in changes.tasks
        ]
        steps += [
            self._sql.open_pause.bind({**rows.pause_values(pause), "stamp": stamp})
            for pause in changes.pauses
        ]
        steps += self._entries(changes.entries, stamp, run_id)
        if changes.facts:
            body = events.pack(run_id, _bodies(changes.facts))
            steps.append(self._sql.write_events.bind({"run_id": run_id, "body": body, "stamp": stamp}))
        return steps

    def _entries(self, entries: Sequence[CacheEntry], stamp: int, run_id: RunID) -> list[Step]:
        return [
            self._sql.write_entry.bind({**rows.entry_values(entry), "run_id": run_id, "stamp": stamp})
            for entry in entries
        ]

    def _tell_owner(
        self,
        run: Run,
        status: RunStatus,
        stamp: int,
        message: str | None = None,
        usage: Usage | None = None,
    ) -> list[Step]:
        """A batch counts the ends of its rows; a run with a subworkflow node hears every change."""
        if run.owner_id is None:
            return []
        values = {"owner_id": run.owner_id, "run_id": run.id, "stamp": stamp}
        if run.row_index is None:
            return [self._sql.wake.bind(values), self._sql.wake_owners_batch.bind(values)]
        if not status.is_final:
            return []
        wake = self._sql.wake_resting_batch if self._has_workers else self._sql.wake_batch
        steps = [self._sql.count_row[status].bind({**values, **_spent(usage)})]
        if status is RunStatus.FAILED:
            cause = {"signature": rows.to_text(signature_of(message)), "count": 1}
            example = {"example_run_id": run.id, "example_row": run.row_index}
            steps.append(self._sql.count_cause.bind({**values, **cause, **example}))
        return [*steps, wake.bind(values)]

    def _wake_above(self, values: Mapping[str, Any]) -> list[Step]:
        """Give work to the runs above the owner, which a worker moves as one."""
        return [self._sql.wake_ancestors.bind(values)] if self._has_workers else []

    async def _first_row(
        self, steps: Sequence[Step], about: Sequence[str], *, persistent: bool, behind: bool = False
    ) -> tuple[Any, ...] | None:
        """What the group's first statement gave; `about` begins with the run that it changes."""
        results = await self._writer.write(
            steps, order=about[0], persistent=persistent, behind=behind, about=about
        )
        first: Result = results[0]
        return first if isinstance(first, tuple) else None


def job_of(run: Run) -> Job:
    """Rows and batches keep to a queue of their own, so that nobody waits for them."""
    return Job(BATCH_QUEUE if _is_of_batch(run) else INTERACTIVE_QUEUE, run.id)


def _is_of_batch(run: Run) -> bool:
    """Whether it is a batch, or a row of one."""
    return run.row_index is not None or run.is_batch


def _concerned(run: Run) -> list[str]:
    """The runs whose readers want to hear of this change. A batch tells of its rows itself, now and then."""
    return [run.id] if run.owner_id is None or run.row_index is not None else [run.id, run.owner_id]


def _decision_values(decision: Decision) -> dict[str, Any]:
    return {
        "pause_id": decision.pause_id,
        "run_id": decision.run_id,
        "resume_time": rows.to_number(decision.time),
        "resume_user_id": rows.to_text(decision.user_id),
        "resume_action": decision.action,
        "resume_inputs": rows.to_text(decision.inputs),
        "comments": rows.to_text(decision.comments),
    }


def _spent(usage: Usage | None) -> dict[str, int]:
    usage = usage or Usage()
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_nano": round((usage.cost_usd or 0.0) * 1e9),
    }


def _rest_values(run: Run, rest: Rest, changes: Changes, stamp: int) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "epoch": run.epoch,
        "events": len(changes.facts),
        "stamp": stamp,
        "status": rest.status,
        "message": rows.to_text(rest.message),
        "end_time": rows.to_number(rest.end_time),
        "signals": rest.signals,
    }


def _receipt_values(receipt: Receipt) -> dict[str, Any]:
    return {
        **rows.receipt_values(receipt),
        "expired": rows.to_number(receipt.created_at - LIFETIME),
    }
