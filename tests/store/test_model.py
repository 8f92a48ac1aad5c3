"""Any sequence of writes against a small model of what must be in the store after each."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rowel.core.outcomes import Usage
from rowel.core.records import Pause, Run, Task
from rowel.core.signatures import signature_of
from rowel.core.status import RunStatus, TaskStatus
from rowel.store import runs
from rowel.store.journal import Changes
from tests.support.ledger import NOON, Ledger, decision, facts, make_pause, make_run, make_task, rest

T = TypeVar("T")

NODES = ["a", "b", "c"]
ENDS = [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELED]
TASKS = st.dictionaries(st.sampled_from(NODES), st.sampled_from(TaskStatus), max_size=3)
FACTS = st.integers(0, 3)
TOKENS = st.integers(0, 5)
MESSAGES = st.sampled_from([None, "no 1", "no 2", "not 'a' but 'b'", "\x00 \ud800"])


@dataclass
class Believed:
    """What the model believes of one run."""

    run: Run
    owner: Believed | None = None
    tasks: dict[str, TaskStatus] = field(default_factory=dict)
    open_pauses: dict[str, Pause] = field(default_factory=dict)
    #: Only of batches.
    total: int | None = None
    cursor: int = 0
    window: int = 10
    ended: dict[RunStatus, int] = field(default_factory=lambda: dict.fromkeys(ENDS, 0))
    tokens: int = 0
    #: {what the failures had in common: how many they were}
    causes: Counter[str] = field(default_factory=Counter)

    @property
    def is_open(self) -> bool:
        return not self.run.status.is_final

    @property
    def is_row(self) -> bool:
        return self.run.row_index is not None

    def write(self, tasks: dict[str, TaskStatus], pauses: dict[str, Pause], told: int, **fields: Any) -> None:
        """A group landed."""
        for node, status in tasks.items():
            before = self.tasks.get(node)
            if before is None or not before.is_final:
                self.tasks[node] = status
        self.open_pauses |= pauses
        self.run = self.run.evolve(seq=self.run.seq + told, **fields)

    def signal(self, **fields: Any) -> None:
        if self.is_open:
            self.run = self.run.evolve(has_work=True, signals=self.run.signals + 1, **fields)

    def tell_owner(self, status: RunStatus, tokens: int = 0, message: str | None = None) -> None:
        owner = self.owner
        if owner is None or not owner.is_open:
            return
        if not self.is_row:
            owner.signal()
            if owner.is_row and owner.owner is not None:
                owner.owner.signal()
        elif status.is_final:
            owner.ended[status] += 1
            owner.tokens += tokens
            owner.causes.update([signature_of(message)] if status is RunStatus.FAILED else [])
            if not owner.run.has_work:
                owner.signal()

    def count_the_rest(self) -> None:
        """A batch that ends early has counted all its rows."""
        if self.total is not None:
            done = self.ended[RunStatus.COMPLETED] + self.ended[RunStatus.FAILED]
            self.ended[RunStatus.CANCELED] = self.total - done

    def end_canceled(self) -> None:
        self.tasks = {
            node: status if status.is_final else TaskStatus.CANCELED for node, status in self.tasks.items()
        }
        self.open_pauses = {}
        self.count_the_rest()
        self.run = self.run.evolve(
            status=RunStatus.CANCELED, has_work=False, epoch=self.run.epoch + 1, seq=self.run.seq + 1
        )


class JournalMachine(RuleBasedStateMachine):
    """Writers that know the truth, and writers that don't."""

    template: Path
    directory: Path
    numbers = count()

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        file = self.directory / f"{next(self.numbers)}.db"
        shutil.copy(self.template, file)
        self.ledger = self.loop.run(_open(f"sqlite:///{file}"))
        self.believed: list[Believed] = []

    def teardown(self) -> None:
        self.loop.run(self.ledger.close())
        self.loop.close()

    def do(self, work: Awaitable[T]) -> T:
        async def done() -> T:
            return await work

        return self.loop.run(done())

    def pick(self, data: st.DataObject) -> Believed:
        return data.draw(st.sampled_from(self.believed), label="run")

    def changes(self, run: Run, tasks: dict[str, TaskStatus], told: int, pauses: dict[str, Pause]) -> Changes:
        return Changes(
            tasks=[make_task(run, node, status) for node, status in tasks.items()],
            pauses=list(pauses.values()),
            facts=facts(told),
        )

    def new_pauses(self, run: Run, number: int) -> dict[str, Pause]:
        made = [make_pause(run, "ask") for _ in range(number)]
        named = [
            pause.__class__(**{**vars(pause), "id": f"{pause.id}-{next(self.numbers)}"}) for pause in made
        ]
        return {pause.id: pause for pause in named}

    @rule(tasks=TASKS, told=FACTS)
    def begin(self, tasks: dict[str, TaskStatus], told: int) -> None:
        self._begin(make_run(), None, tasks, told)

    @precondition(lambda self: self.believed)
    @rule(data=st.data(), tasks=TASKS, told=FACTS)
    def begin_child(self, data: st.DataObject, tasks: dict[str, TaskStatus], told: int) -> None:
        owner = self.pick(data)
        path = data.draw(st.sampled_from(NODES))
        self._begin(make_run(owner_id=owner.run.id, owner_path=path), owner, tasks, told)

    @rule(total=st.integers(1, 3))
    def begin_batch(self, total: int) -> None:
        run = self.do(self.ledger.batch(total))
        self.believed.append(Believed(run, total=total))

    @precondition(lambda self: any(one.total for one in self.believed))
    @rule(data=st.data(), tasks=TASKS, told=FACTS, skipped=st.sampled_from([0, 0, 0, -1, 1]))
    def begin_row(self, data: st.DataObject, tasks: dict[str, TaskStatus], told: int, skipped: int) -> None:
        batch = data.draw(st.sampled_from([one for one in self.believed if one.total]))
        index = max(0, batch.cursor + skipped)
        if index < (batch.total or 0):
            row = make_run(owner_id=batch.run.id, row_index=index)
            self._begin(row, batch, tasks, told, cursor=batch.cursor)

    def _begin(
        self,
        run: Run,
        owner: Believed | None,
        tasks: dict[str, TaskStatus],
        told: int,
        cursor: int | None = None,
    ) -> None:
        new = Believed(run, owner)
        is_there = any(
            (one.run.owner_id, one.run.owner_path, one.run.row_index)
            == (run.owner_id, run.owner_path, run.row_index)
            for one in self.believed
            if run.owner_id is not None
        )
        landed = self.do(self.ledger.journal.begin(run, self.changes(run, tasks, told, {}), cursor=cursor))
        assert landed == (owner is None or (owner.is_open and not is_there))
        if landed:
            new.write(tasks, {}, told)
            self.believed.append(new)
            if owner is not None and run.row_index is not None:
                owner.cursor = run.row_index + 1

    @precondition(lambda self: self.believed)
    @rule(data=st.data(), told=FACTS)
    def take(self, data: st.DataObject, told: int) -> None:
        one = self.pick(data)
        taken = self.do(self.ledger.journal.take(one.run.id, facts(told)))
        assert (taken is not None) == (one.is_open and one.run.has_work)
        if taken is not None:
            one.write({}, {}, told, epoch=one.run.epoch + 1)
            assert taken == (one.run.seq, one.run.epoch, one.run.signals)

    @precondition(lambda self: self.believed)
    @rule(data=st.data(), tasks=TASKS, told=FACTS, asks=st.integers(0, 1), late=st.sampled_from([0, 0, 1]))
    def advance(
        self, data: st.DataObject, tasks: dict[str, TaskStatus], told: int, asks: int, late: int
    ) -> None:
        one = self.pick(data)
        writer = one.run.evolve(epoch=one.run.epoch - late)
        pauses = self.new_pauses(one.run, asks)
        seq = self.do(self.ledger.journal.advance(writer, self.changes(one.run, tasks, told, pauses)))
        assert (seq is not None) == (one.is_open and not late)
        if seq is not None:
            one.write(tasks, pauses, told)
            assert seq == one.run.seq

    @precondition(lambda self: self.believed)
    @rule(
        data=st.data(),
        status=st.sampled_from([RunStatus.PAUSED, *ENDS]),
        told=FACTS,
        late=st.sampled_from([0, 0, 0, 1]),
        missed=st.sampled_from([0, 0, 0, 1]),
    )
    def come_to_rest(self, data: st.DataObject, status: RunStatus, told: int, late: int, missed: int) -> None:
        tokens, message = data.draw(TOKENS), data.draw(MESSAGES)
        one = self.pick(data)
        writer = one.run.evolve(epoch=one.run.epoch - late)
        pauses = self.new_pauses(one.run, status is RunStatus.PAUSED)
        wanted = rest(status, signals=one.run.signals - missed, message=message)
        usage = Usage(input_tokens=tokens, output_tokens=2 * tokens, cost_usd=tokens / 1e9)
        changes = replace(self.changes(one.run, {}, told, pauses), usage=usage)
        seq = self.do(self.ledger.journal.rest(writer, changes, wanted))
        assert (seq is not None) == (one.is_open and not late and not missed)
        if seq is not None:
            one.write({}, pauses, told, status=status, has_work=False)
            one.tell_owner(status, tokens, message)
            if status is RunStatus.FAILED:
                one.count_the_rest()

    @precondition(lambda self: any(one.total for one in self.believed))
    @rule(data=st.data(), told=FACTS, window=st.one_of(st.none(), st.integers(1, 9)))
    def adjust(self, data: st.DataObject, told: int, window: int | None) -> None:
        one = data.draw(st.sampled_from([one for one in self.believed if one.total]))
        adjusting = self.ledger.journal.adjust(one.run.id, facts(told), window=window, options=None)
        seq = self.do(adjusting)
        assert (seq is not None) == one.is_open
        if seq is not None:
            one.write({}, {}, told)
            one.signal()
            one.window = window or one.window

    @precondition(lambda self: self.believed)
    @rule(data=st.data(), told=FACTS)
    def answer(self, data: st.DataObject, told: int) -> None:
        one = self.pick(data)
        known = [*one.open_pauses.values(), make_pause(one.run, "none")]
        pause = data.draw(st.sampled_from(known), label="pause")
        task = Task(run_id=one.run.id, path="ask", node_id="ask", status=TaskStatus.COMPLETED)
        given = decision(pause, task=task)
        answered = self.do(self.ledger.journal.decide(one.run, given, facts(told)))
        assert (answered is not None) == (one.is_open and pause.id in one.open_pauses)
        if answered is None:
            return
        del one.open_pauses[pause.id]
        one.write({"ask": TaskStatus.COMPLETED}, {}, told)
        goes_on = one.run.status is RunStatus.PAUSED and not one.open_pauses
        one.signal(status=RunStatus.RUNNING if goes_on else one.run.status)
        assert answered == (one.run.seq, one.run.status)
        self._wake_owner_of_answered(one)

    def _wake_owner_of_answered(self, one: Believed) -> None:
        owner = one.owner
        if owner is None or not owner.is_open:
            return
        if one.is_row and owner.run.status is RunStatus.PAUSED:
            owner.signal(status=RunStatus.RUNNING)
        else:
            owner.signal()
        if owner.is_row and owner.owner is not None:
            owner.owner.signal()

    @precondition(lambda self: self.believed)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        one = self.pick(data)
        owned = self.do(self.ledger.database.read(lambda connection: runs.open_owned(connection, one.run.id)))
        below = self._open_below(one)
        assert {run.id for run in owned} == {other.run.id for other in below}
        # Those that began after the owned ones were read are not among them.
        late = data.draw(
            st.sets(st.sampled_from(sorted(run.id for run in owned)), max_size=1) if owned else st.just(set())
        )
        owned = [run for run in owned if run.id not in late]
        below = [other for other in below if other.run.id not in late]
        seq = self.do(self.ledger.journal.cancel(one.run, owned, message="x", time=NOON, facts=facts(1)))
        assert (seq is not None) == one.is_open
        if seq is not None:
            for other in (one, *below):
                other.end_canceled()
            one.tell_owner(RunStatus.CANCELED)

    def _open_below(self, one: Believed) -> list[Believed]:
        found = [other for other in self.believed if other.owner is one and other.is_open]
        return [*found, *(deeper for other in found for deeper in self._open_below(other))]

    @invariant()
    def the_store_holds_what_is_believed(self) -> None:
        for one in self.believed:
            self.do(self._compare(one))

    async def _compare(self, one: Believed) -> None:
        seen = await self.ledger.run(one.run.id)
        names = ("status", "epoch", "seq", "signals", "has_work")
        assert [getattr(seen, name) for name in names] == [getattr(one.run, name) for name in names]
        assert {path: task.status for path, task in (await self.ledger.tasks(seen.id)).items()} == one.tasks
        kept = await self.ledger.pauses(seen.id)
        assert {pause.id for pause in kept if pause.is_open} == set(one.open_pauses)
        assert await self.ledger.numbers(seen.id) == list(range(1, one.run.seq + 1))
        if one.total is not None:
            counts = await self.ledger.counts(seen.id)
            assert (counts.cursor, counts.window) == (one.cursor, one.window)
            spent = (counts.input_tokens, counts.output_tokens, counts.cost_nano)
            assert spent == (one.tokens, 2 * one.tokens, one.tokens)
            assert {cause.signature: cause.count for cause in await self.ledger.causes(seen.id)} == one.causes
            assert (counts.completed, counts.failed, counts.canceled) == tuple(one.ended[end] for end in ENDS)


async def _open(url: str) -> Ledger:
    return Ledger(url)


def test_the_journal_does_what_the_model_believes(sqlite_template: Path, tmp_path: Path) -> None:
    machine = type("Machine", (JournalMachine,), {"template": sqlite_template, "directory": tmp_path})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15, stateful_step_count=30, suppress_health_check=list(HealthCheck), deadline=None
        ),
    )
