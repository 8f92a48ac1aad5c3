"""The statements that move runs, compiled once for a dialect.

Each group of records begins with a guarded UPDATE of the run's row that leaves a *stamp*; every other statement of the
group stands on that stamp, so a group lands as a whole or not at all, also inside a pipeline. The UPDATE locks the row:
on Postgres a late write of a fenced-off worker waits, sees the newer epoch and does not land.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Exists,
    Integer,
    Select,
    SmallInteger,
    Table,
    Text,
    bindparam,
    case,
    delete,
    exists,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.sql import ClauseElement

from rowel.core.status import RunStatus, TaskStatus
from rowel.store.dialect import Dialect
from rowel.store.statements import Statement, compile_statement
from rowel.store.tables import (
    batches,
    causes,
    events,
    lanes,
    output_files,
    pauses,
    requests,
    runs,
    step_cache,
    tasks,
)

FINAL_RUN = [status.value for status in RunStatus if status.is_final]
FINAL_TASK = [status.value for status in TaskStatus if status.is_final]

#: Receipts whose time is over that are removed with each new one: more than come, so that they become fewer.
SWEPT = 10


def number(name: str) -> ColumnElement[Any]:
    return bindparam(name, None, type_=BigInteger())


def word(name: str) -> ColumnElement[Any]:
    return bindparam(name, None, type_=Text())


def _is_open() -> ColumnElement[bool]:
    return runs.c.status.not_in(FINAL_RUN)


def _mine() -> tuple[ColumnElement[bool], ...]:
    """The guard of whoever moves a run."""
    return runs.c.id == word("run_id"), runs.c.epoch == number("epoch"), _is_open()


def _moved() -> dict[str, Any]:
    """What every group's first statement leaves on the run."""
    return {"seq": runs.c.seq + number("events"), "stamp": number("stamp")}


def _woken() -> dict[str, Any]:
    """What gives a run work from outside."""
    return {"has_work": 1, "signals": runs.c.signals + 1}


def _running_again(condition: ColumnElement[bool] | None = None) -> dict[str, Any]:
    """A PAUSED run is RUNNING again (where the condition holds)."""
    is_paused = runs.c.status == RunStatus.PAUSED.value
    when = is_paused if condition is None else is_paused & condition
    return {"status": case((when, RunStatus.RUNNING.value), else_=runs.c.status)}


def _stamped(run_id: str = "run_id") -> Exists:
    """Whether this group's first statement landed on the run."""
    mine = runs.alias("mine")
    return exists(select(1).where(mine.c.id == word(run_id), mine.c.stamp == number("stamp")))


def _answered() -> Exists:
    """Whether this group has answered the pause."""
    return exists(select(1).where(pauses.c.id == word("pause_id"), pauses.c.stamp == number("stamp")))


def _owner_lives(*, lock: bool = True) -> Exists:
    owner = runs.alias("owner")
    lives = select(1).where(owner.c.id == word("owner_id"), owner.c.status.not_in(FINAL_RUN))
    # Only what ends the owner waits for this lock (see `_locked`); who counts its rows or tells its progress does not.
    return exists(lives.with_for_update(read=True, key_share=True) if lock else lives)


def _locked() -> ColumnElement[bool]:
    """The run, against whoever begins something in its name: a plain UPDATE would pass their lock by."""
    this = runs.alias("this")
    return (
        runs.c.id == select(this.c.id).where(this.c.id == word("run_id")).with_for_update().scalar_subquery()
    )


def _above_owner() -> Select[tuple[str]]:
    """The runs that wait for this run's owner, up to the one that a worker moves: none of them is moved meanwhile."""
    owner = runs.alias("owner_above")
    base = select(owner.c.id, owner.c.owner_id, owner.c.row_index).where(owner.c.id == word("owner_id"))
    chain = base.cte("chain", recursive=True)
    above = runs.alias("above")
    chain = chain.union_all(
        select(above.c.id, above.c.owner_id, above.c.row_index).where(
            above.c.id == chain.c.owner_id, chain.c.row_index.is_(None)
        )
    )
    return select(chain.c.id).where(chain.c.id != word("owner_id"))


def _named_are_there() -> tuple[ColumnElement[bool], ...]:
    """Whether the runs that a run names are still there, and stay until it is."""
    named = {name: runs.alias(name) for name in ("origin_id", "parent_run_id")}
    found = {
        name: exists(select(1).where(run.c.id == word(name)).with_for_update(read=True))
        for name, run in named.items()
    }
    return tuple(word(name).is_(None) | is_there for name, is_there in found.items())


def _lane_is_mine() -> Exists:
    """The guard of a row that a lane begins: nobody took the lane over."""
    mine = (
        select(1)
        .where(
            lanes.c.run_id == word("owner_id"),
            lanes.c.lane == number("lane"),
            lanes.c.epoch == number("lane_epoch"),
        )
        .with_for_update(read=True)
    )
    return exists(mine)


def _typed(table: Table, name: str) -> ColumnElement[Any]:
    """A parameter named like the column and cast to its type."""
    kind = table.c[name].type
    return bindparam(name, None, type_=BigInteger() if isinstance(kind, (Integer, SmallInteger)) else Text())


class Transitions:
    """Every statement that changes a run, its tasks, its pauses or its events."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._compile_runs()
        self._compile_wakes()
        self._compile_parts()
        self._compile_pauses()
        self._compile_cancels()
        self._compile_batches()
        self._compile_causes()
        self._compile_receipts()
        self.write_entry = self._entry()

    def _compiled(self, statement: ClauseElement) -> Statement:
        return compile_statement(statement, self._dialect.sql)

    def _insert(
        self,
        table: Table,
        *conditions: ColumnElement[bool],
        upsert: bool = False,
        unless_there: bool = False,
    ) -> Statement:
        """Insert a whole row where the conditions hold; with `upsert` a row that is not final is replaced."""
        names = [column.name for column in table.c]
        source = select(*[_typed(table, name) for name in names]).where(*conditions)
        statement = self._dialect.insert(table).from_select(names, source)
        if upsert:
            keys = [column.name for column in table.primary_key]
            statement = statement.on_conflict_do_update(
                index_elements=keys,
                set_={name: statement.excluded[name] for name in names if name not in keys},
                where=table.c.status.not_in(FINAL_TASK),
            )
        if unless_there:
            statement = statement.on_conflict_do_nothing()
        return self._compiled(statement)

    def _compile_runs(self) -> None:
        self.insert_run = self._compiled(
            self._dialect.insert(runs).values({column.name: _typed(runs, column.name) for column in runs.c})
        )
        self.insert_naming_run = self._insert(runs, *_named_are_there())
        self.insert_owned_run = self._insert(runs, _owner_lives(), unless_there=True)
        self.insert_row_of_lane = self._insert(runs, _owner_lives(), _lane_is_mine(), unless_there=True)
        counted = {**_moved(), "recoveries": runs.c.recoveries * number("is_stuck")}
        self.advance = self._move(counted, *_mine())
        self.work_again = self._move({**counted, "status": word("status")}, *_mine())
        is_last = runs.c.seq == number("last")
        self.report = self._move(_moved(), runs.c.id == word("run_id"), _is_open(), is_last)
        self.signal = self._move({**_moved(), **_woken()}, runs.c.id == word("run_id"), _is_open())
        self.rest = self._rest()
        is_pending = runs.c.status == RunStatus.PENDING.value
        taken = {
            "epoch": runs.c.epoch + 1,
            "recoveries": case((is_pending, runs.c.recoveries), else_=runs.c.recoveries + 1),
            "status": case((is_pending, RunStatus.RUNNING.value), else_=runs.c.status),
        }
        self.take = self._compiled(
            update(runs)
            .where(runs.c.id == word("run_id"), runs.c.has_work == 1, _is_open())
            .values({**_moved(), **taken})
            .returning(runs.c.seq, runs.c.epoch, runs.c.signals)
        )

    def _move(self, values: dict[str, Any], *guards: ColumnElement[bool]) -> Statement:
        """The first statement of a group: it changes the run where the guards hold and tells its newest event."""
        return self._compiled(update(runs).where(*guards).values(values).returning(runs.c.seq))

    def _rest(self, *guards: ColumnElement[bool]) -> Statement:
        ended = {
            "status": word("status"),
            "message": word("message"),
            "end_time": number("end_time"),
            "has_work": 0,
            "recoveries": 0,
        }
        is_unsignaled = runs.c.signals == number("signals")
        return self._move({**_moved(), **ended}, *_mine(), is_unsignaled, _locked(), *guards)

    def _compile_wakes(self) -> None:
        self.wake = self._wake(word("owner_id"), _woken())
        self.resume_batch = self._wake(word("owner_id"), {**_woken(), **_running_again()})
        row = runs.alias("row")
        batch_of_owner = (
            select(row.c.owner_id)
            .where(row.c.id == word("owner_id"), row.c.row_index.is_not(None))
            .scalar_subquery()
        )
        self.wake_owners_batch = self._wake(batch_of_owner, _woken())
        self.wake_ancestors = self._compiled(
            update(runs).where(runs.c.id.in_(_above_owner()), _is_open(), _stamped()).values(_woken())
        )
        rests = runs.c.has_work == 0
        counted = {"has_work": 1, "signals": runs.c.signals + 1 - runs.c.has_work, "recoveries": 0}
        self.wake_batch = self._wake(word("owner_id"), counted, rests | (runs.c.recoveries > 0))
        # Nobody is held responsible for a batch that many move, and its row is locked as seldom as can be.
        self.wake_resting_batch = self._wake(word("owner_id"), counted, rests)

    def _wake(
        self, run_id: ColumnElement[Any], values: dict[str, Any], *guards: ColumnElement[bool]
    ) -> Statement:
        """Give another open run work, where this group has landed."""
        return self._compiled(
            update(runs).where(runs.c.id == run_id, *guards, _is_open(), _stamped()).values(values)
        )

    def _compile_parts(self) -> None:
        self.write_task = self._insert(tasks, _stamped(), upsert=True)
        numbered = select(runs.c.id, runs.c.seq, word("body")).where(
            runs.c.id == word("run_id"), runs.c.stamp == number("stamp")
        )
        self.write_events = self._compiled(
            self._dialect.insert(events).from_select(["run_id", "seq", "body"], numbered)
        )

    def _compile_pauses(self) -> None:
        columns = [column.name for column in pauses.c if column.name != "stamp"]
        source = select(*[_typed(pauses, name) for name in columns], literal_column("0")).where(_stamped())
        self.open_pause = self._compiled(
            self._dialect.insert(pauses).from_select([*columns, "stamp"], source)
        )
        answer = ("resume_time", "resume_user_id", "resume_action", "resume_inputs", "comments", "stamp")
        # Not FOR SHARE: two who answer at once would both hold it and then wait for each other.
        run_lives = exists(select(1).where(runs.c.id == word("run_id"), _is_open()).with_for_update())
        self.answer_pause = self._compiled(
            update(pauses)
            .where(
                pauses.c.id == word("pause_id"),
                pauses.c.run_id == word("run_id"),
                pauses.c.is_open == 1,
                run_lives,
            )
            .values({"is_open": 0, **{name: _typed(pauses, name) for name in answer}})
            .returning(pauses.c.id)
        )
        others = exists(select(1).where(pauses.c.run_id == word("run_id"), pauses.c.is_open == 1))
        self.resume = self._compiled(
            update(runs)
            .where(runs.c.id == word("run_id"), _is_open(), _answered())
            .values({**_moved(), **_woken(), **_running_again(~others)})
            .returning(runs.c.seq, runs.c.status)
        )

    def _compile_cancels(self) -> None:
        canceled = {
            "status": RunStatus.CANCELED.value,
            "end_time": number("end_time"),
            "message": word("message"),
            "has_work": 0,
            "epoch": runs.c.epoch + 1,
            **_moved(),
        }
        this = (_locked(), _is_open())
        self.cancel = self._move(canceled, *this)
        self.cancel_declined = self._move(canceled, *this, _answered())
        self.cancel_owned = self._move(canceled, *this, _stamped("root_id"))
        of_run = tasks.c.run_id == word("run_id")
        began_later = tasks.c.start_time > number("end_time")
        end = case((began_later, tasks.c.start_time), else_=number("end_time"))
        self.cancel_tasks = self._compiled(
            update(tasks)
            .where(of_run, tasks.c.status.not_in(FINAL_TASK), _stamped())
            .values({"status": TaskStatus.CANCELED.value, "end_time": end})
        )
        self.close_pauses = self._compiled(
            update(pauses)
            .where(pauses.c.run_id == word("run_id"), pauses.c.is_open == 1, _stamped())
            .values({"is_open": 0})
        )

    def _compile_batches(self) -> None:
        self.insert_batch = self._insert(batches, _stamped())
        self.insert_output_file = self._insert(output_files, _stamped())
        self.claim_row = self._compiled(
            update(batches)
            .where(batches.c.run_id == word("owner_id"), batches.c.cursor == number("cursor"), _stamped())
            .values({"cursor": number("row_index") + 1})
        )
        # A batch that ended early has counted all its rows: those that were on their way into the store end uncounted.
        of_owner = (batches.c.run_id == word("owner_id"), _owner_lives(lock=False), _stamped())
        spent = {
            name: batches.c[name] + number(name) for name in ("input_tokens", "output_tokens", "cost_nano")
        }
        self.count_row = {
            status: self._compiled(
                update(batches).where(*of_owner).values({column.name: column + 1, **spent})
            )
            for status, column in (
                (RunStatus.COMPLETED, batches.c.completed),
                (RunStatus.FAILED, batches.c.failed),
                (RunStatus.CANCELED, batches.c.canceled),
            )
        }
        self.cancel_rows = self._compiled(
            update(batches)
            .where(batches.c.run_id == word("run_id"), _stamped())
            .values({"canceled": batches.c.total - batches.c.completed - batches.c.failed})
        )
        of_batch = (batches.c.run_id == word("run_id"), _stamped())
        self.set_window = self._compiled(update(batches).where(*of_batch).values(window=number("window")))
        self.set_options = self._compiled(update(batches).where(*of_batch).values(options=word("options")))
        self.release_canary = self._compiled(update(batches).where(*of_batch).values(canary=null()))
        settled = batches.c.completed + batches.c.failed + batches.c.canceled
        counted = select(1).where(batches.c.run_id == word("run_id"), settled == number("settled"))
        self.rest_batch = self._rest(exists(counted))
        self.finish_output_file = self._compiled(
            update(output_files)
            .where(output_files.c.id == word("file_id"), _stamped())
            .values({"is_ready": 1, "updated_at": number("end_time")})
        )

    def _compile_causes(self) -> None:
        names = [column.name for column in causes.c]
        values = [word("owner_id"), *(_typed(causes, name) for name in names if name != "run_id")]
        source = select(*values).where(_owner_lives(lock=False), _stamped())
        self.count_cause = self._compiled(
            self._dialect.insert(causes)
            .from_select(names, source)
            .on_conflict_do_update(
                index_elements=[column.name for column in causes.primary_key],
                set_={"count": causes.c.count + 1},
            )
        )

    def _entry(self) -> Statement:
        """Keep what a node gave. What expires sooner is replaced."""
        names = [column.name for column in step_cache.c]
        source = select(*[_typed(step_cache, name) for name in names]).where(_stamped())
        entry = self._dialect.insert(step_cache).from_select(names, source)
        return self._compiled(
            entry.on_conflict_do_update(
                index_elements=["key"],
                set_={name: entry.excluded[name] for name in names if name != "key"},
            )
        )

    def _compile_receipts(self) -> None:
        run_status = runs.c.status == word("run_status")
        begun = exists(
            select(1).where(runs.c.id == word("run_id"), runs.c.stamp == number("stamp"), run_status)
        )
        #: A key that is taken breaks its own group, and no other.
        self.insert_receipt = self._insert(requests, begun)
        self.insert_early_receipt = self._insert(requests, unless_there=True)
        this = requests.c.key == word("key")
        is_expired = requests.c.created_at <= number("expired")
        self.drop_expired_receipt = self._compiled(delete(requests).where(this, is_expired))
        oldest = select(requests.c.key).where(is_expired).order_by(requests.c.created_at).limit(SWEPT)
        self.sweep_receipts = self._compiled(
            delete(requests).where(requests.c.key.in_(oldest.with_for_update(skip_locked=True)))
        )
        self.answer_receipt = self._compiled(
            update(requests)
            .where(
                this,
                requests.c.run_id == word("run_id"),
                requests.c.created_at == number("created_at"),
                requests.c.answer.is_(None),
            )
            .values({"status": number("status"), "answer": word("answer")})
        )
