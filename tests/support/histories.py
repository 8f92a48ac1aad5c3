"""Lawful histories, made up: what clients and the world would see of a Rowel that keeps every promise.

history = lawful(seed)      # the same seed, the same history
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from rowel.cli.drill.checks.ends import EDITION
from rowel.cli.drill.history import (
    Blow,
    Call,
    Cancel,
    Decision,
    Fault,
    History,
    Order,
    Row,
    ShownFile,
    ShownPause,
    ShownPauses,
    ShownRun,
    ShownTask,
    Start,
)
from rowel.cli.drill.samples import SAMPLES
from rowel.client.words import Action, Status

#: Seconds that an answer takes, that a call takes, and that a struck-down Rowel is away.
ANSWER_S, CALL_S, AWAY_S = 0.05, 0.5, 1.5


@dataclass
class Step:
    """A task's life: when it began and ended, and how."""

    node_id: str
    begun: float
    ended: float
    end: Status = Status.COMPLETED
    outputs: dict[str, Any] | None = None
    is_pause: bool = False

    def at(self, moment: float, run_id: str) -> ShownTask:
        status = Status.PAUSED if self.is_pause else Status.RUNNING
        if moment < self.begun:
            status = Status.PENDING
        elif moment >= self.ended:
            status = self.end
        outputs = self.outputs if status is Status.COMPLETED else None
        return ShownTask(id=f"{run_id}.{self.node_id}", node_id=self.node_id, status=status, outputs=outputs)


@dataclass
class Life:
    """A run's life."""

    id: str
    sample: str
    key: str | None
    begun: float
    steps: list[Step] = field(default_factory=list)
    end: Status = Status.COMPLETED
    ended: float = 0.0
    parent_id: str | None = None
    row_index: int | None = None
    message: str | None = None
    edition: int = 1

    def at(self, asked: float) -> ShownRun:
        """The run as an answer shows it."""
        tasks = tuple(step.at(asked, self.id) for step in self.steps)
        status = self.end if asked >= self.ended else self._open_status(tasks)
        done = sum(task.status is Status.COMPLETED for task in tasks)
        return ShownRun(
            asked=asked,
            answered=asked + ANSWER_S,
            id=self.id,
            sample=self.sample,
            status=status,
            percentage=100.0 * done / len(tasks) if tasks else 100.0 * (asked >= self.ended),
            key=self.key,
            parent_id=self.parent_id,
            row_index=self.row_index,
            message=self.message if asked >= self.ended else None,
            version=self.edition,
            edition=self.edition,
            tasks=tasks,
        )

    def _open_status(self, tasks: Sequence[ShownTask]) -> Status:
        statuses = {task.status for task in tasks}
        return Status.PAUSED if Status.PAUSED in statuses - {Status.RUNNING} else Status.RUNNING


class World:
    """Makes things up, one after another, and notes what would be seen."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.seed = seed
        self.now = 1.0
        self.receipts = count(1)
        self.ids = (f"run{number}" for number in count(1))
        self.lives: list[Life] = []
        self.starts: list[Start] = []
        self.decisions: list[Decision] = []
        self.cancels: list[Cancel] = []
        self.runs: list[ShownRun] = []
        self.pauses: list[ShownPauses] = []
        self.files: list[ShownFile] = []
        self.calls: list[Call] = []
        self.faults = [self._fault(Blow.KILL, moment) for moment in self._moments()]
        self.faults.append(self._fault(Blow.TERMINATE, 500.0))

    def _moments(self) -> Iterator[float]:
        moment = 0.0
        while moment < 300:
            moment += self.dice.uniform(4, 9)
            yield moment

    def _fault(self, blow: Blow, begun: float) -> Fault:
        code = 0 if blow is Blow.TERMINATE else -9
        return Fault(blow=blow, begun=begun, ended=begun + 0.02, ready=begun + AWAY_S, code=code)

    def call(self, task_id: str, at: float, *, is_once: bool = False) -> tuple[float, int | None]:
        """Call until no kill falls in between; return when that was, and the receipt (None: it was interrupted)."""
        while True:
            receipt = next(self.receipts)
            cut = next((fault for fault in self.faults if at <= fault.begun <= at + CALL_S), None)
            ended = None if cut else at + CALL_S
            self.calls.append(Call(task_id=task_id, receipt=receipt, begun=at, ended=ended))
            if cut is None:
                return at + CALL_S, receipt
            assert cut.ready is not None
            at = cut.ready + 0.1
            if is_once:
                return at, None

    def step(self, life: Life, node_id: str, at: float) -> float:
        """A node that calls; return when it ended."""
        is_once = node_id in SAMPLES[life.sample].calls_once
        ended, receipt = self.call(f"{life.id}.{node_id}", at, is_once=is_once)
        step = Step(node_id, at, ended)
        if receipt is None:
            step.end, life.end = Status.FAILED, Status.FAILED
        else:
            step.outputs = {"status": 200, "json": {"receipt": receipt}}
        life.steps.append(step)
        return ended

    def begin(self, order: Order, **more: Any) -> Life:
        """A start that is answered, now and then not."""
        self.now += self.dice.uniform(0.1, 2)
        life = Life(next(self.ids), order.sample, order.key, self.now, **more)
        for status in self._answers(order):
            self.starts.append(
                Start(
                    asked=self.now,
                    answered=self.now + ANSWER_S,
                    status=status,
                    order=order,
                    run_id=life.id if status == 200 else None,
                )
            )
        if not order.rows:
            life.steps.append(self._edition(life))
        self.lives.append(life)
        return life

    def _answers(self, order: Order) -> list[int | None]:
        """What may be sent again is, until it is answered; other starts are given up when the answer is lost."""
        if not order.is_repeatable:
            return [None if self.dice.random() < 0.1 else 200]
        lost: list[int | None] = []
        while self.dice.random() < 0.3:
            lost.append(self.dice.choice((None, 409, 503)))
        return [*lost, 200]

    def _edition(self, life: Life) -> Step:
        life.edition = self.dice.choice((1, 2, 3))
        return Step(EDITION, self.now, self.now, outputs={EDITION: life.edition})

    def order(self, sample: str) -> Order:
        is_repeatable = self.dice.random() < 0.5
        return Order(key=f"{sample}-{len(self.starts)}", sample=sample, is_repeatable=is_repeatable)

    def chain(self) -> Life:
        life = self.begin(self.order("chain"))
        moment = self.now + 0.1
        for node_id in ("a", "b", "c"):
            moment = self.step(life, node_id, moment)
        life.ended = moment
        return life

    def once(self) -> None:
        life = self.begin(self.order("once"))
        moment = self.step(life, "only_once", self.now + 0.1)
        if life.end is Status.COMPLETED:
            moment = self.step(life, "after", moment)
        life.ended = moment

    def nested(self) -> None:
        life = self.begin(self.order("nested"))
        child = Life(next(self.ids), "chain", life.key, self.now, parent_id=life.id)
        self.lives.append(child)
        child.ended = self.step(child, "a", self.now + 0.2)
        life.ended = self.step(life, "after", child.ended)

    def canceled(self) -> None:
        life = self.chain()
        (middle,) = (step for step in life.steps if step.node_id == "b")
        moment = middle.begun + 0.1
        self.cancels.append(Cancel(asked=moment, answered=moment + ANSWER_S, status=200, run_id=life.id))
        self.calls = [call for call in self.calls if call.run_id != life.id or call.begun <= moment]
        life.end, life.ended, life.message = Status.CANCELED, moment, "Canceled on request."
        for step in life.steps:
            if step.ended > moment:
                step.begun, step.ended, step.end = min(step.begun, moment), moment, Status.CANCELED
                step.outputs = None

    def waiting(self) -> None:
        life = self.begin(self.order("waiting"))
        moment = self.step(life, "before", self.now + 0.1)
        life.steps.append(Step("agree", moment, 1e6, is_pause=True))
        life.end, life.ended = Status.PAUSED, moment
        self._show_pauses(life, [self._pause(life, "agree", moment)], moment)

    def approval(self, action: Action, node_id: str) -> None:
        """Three answer one pause, one wins; then the other pause is approved."""
        life = self.begin(self.order("approval"))
        asked = self.step(life, "before", self.now + 0.1)
        other = "sign" if node_id == "agree" else "agree"
        pauses = [self._pause(life, node, asked) for node in ("agree", "sign")]
        self._show_pauses(life, pauses, asked)
        for node, said in ((node_id, action), (other, Action.APPROVE)):
            pauses = self._answer(life, pauses, node, said)
        life.ended = self.now
        if action is Action.DECLINE and node_id == "agree":
            life.end = Status.CANCELED
        self._show_pauses(life, pauses, self.now)

    def _pause(self, life: Life, node_id: str, moment: float) -> ShownPause:
        return ShownPause(
            id=f"pause-{life.id}-{node_id}",
            node_id=node_id,
            message="Do you agree?",
            time=f"at {moment}",
            received={"before": {"status": 200}},
        )

    def _answer(self, life: Life, pauses: list[ShownPause], node_id: str, action: Action) -> list[ShownPause]:
        asked = max(step.ended for step in life.steps)
        self.now = max(self.now, asked) + 0.3
        winner = self.dice.randrange(3)
        made = [self._decision(life, node_id, action, number == winner) for number in range(3)]
        self.decisions += made
        won = made[winner]
        inputs = dict(won.inputs)
        (pause,) = (pause for pause in pauses if pause.node_id == node_id)
        is_end = action is Action.DECLINE and node_id == "agree"
        outputs = inputs if action is Action.OVERRIDE else {**(pause.received or {}), **inputs}
        step = Step(node_id, asked, self.now, outputs=outputs, is_pause=True)
        if is_end:
            step.end, step.outputs = Status.CANCELED, None
        life.steps.append(step)
        answered = ShownPause(
            **{**vars(pause), "user_id": won.user_id, "action": action, "comments": won.comments}
        )
        return [answered if one is pause else one for one in pauses]

    def _decision(self, life: Life, node_id: str, action: Action, is_winner: bool) -> Decision:
        user_id = f"user-{len(self.decisions)}-{self.dice.randrange(10**9)}"
        status = self.dice.choice((200, 200, None)) if is_winner else self.dice.choice((409, 409, None))
        return Decision(
            asked=self.now - 0.1,
            answered=self.now + ANSWER_S,
            status=status,
            run_id=life.id,
            node_id=node_id,
            action=action,
            user_id=user_id,
            inputs={"by": user_id},
            comments=f"{user_id} says so.",
        )

    def _show_pauses(self, life: Life, pauses: Sequence[ShownPause], asked: float) -> None:
        for moment in (asked, asked + 0.1):
            self.pauses.append(
                ShownPauses(asked=moment, answered=moment + ANSWER_S, run_id=life.id, pauses=tuple(pauses))
            )

    def batch(self, rows: int = 6) -> None:
        key = f"batch-{len(self.starts)}"
        order = Order(
            key=key,
            sample="rows",
            rows=tuple(Row(f"{key}.{index}", fails=index == 2) for index in range(rows)),
        )
        parent = self.begin(order)
        lines: list[dict[str, Any]] = []
        for index, row in enumerate(order.rows):
            life = Life(next(self.ids), "rows", row.key, self.now, parent_id=parent.id, row_index=index)
            self.lives.append(life)
            lines.append(self._row(life, row))
            parent.ended = max(parent.ended, life.ended)
        self.files.append(
            ShownFile(run_id=parent.id, lines=tuple(lines), total=rows, completed=rows - 1, failed=1)
        )

    def _row(self, life: Life, row: Row) -> dict[str, Any]:
        life.steps.append(Step("input_node", self.now, self.now, outputs={"key": row.key, "wish": "ok"}))
        life.ended = self.step(life, "book", self.now + 0.1)
        if row.fails:
            life.steps[-1].end, life.steps[-1].outputs = Status.FAILED, None
            life.end, life.message = Status.FAILED, "Node 'book' failed."
            return {"error": life.message, "row_index": life.row_index, "run_id": life.id}
        life.ended = self.step(life, "confirm", life.ended)
        return {step.node_id: step.outputs for step in life.steps}

    def look(self) -> None:
        """Look at everything at some moments, and once more in the end."""
        for life in self.lives:
            span = (life.begun + ANSWER_S, life.ended + 5)
            moments = sorted(self.dice.uniform(*span) for _ in range(6))
            self.runs += [life.at(moment) for moment in [*moments, 1000.0]]
        self.dice.shuffle(self.runs)


def lawful(seed: int) -> History:
    """A history in which every promise is kept, with some of everything in it."""
    world = World(seed)
    for _ in range(3):
        world.chain()
        world.once()
        world.canceled()
    world.nested()
    world.waiting()
    for node_id in ("agree", "sign"):
        for action in Action:
            world.approval(action, node_id)
    world.batch()
    world.chain()
    world.look()
    return History(
        seed=seed,
        samples=SAMPLES,
        starts=world.starts,
        decisions=world.decisions,
        cancels=world.cancels,
        runs=world.runs,
        pauses=world.pauses,
        files=world.files,
        calls=world.calls,
        faults=world.faults,
        listed=[life.id for life in world.lives],
    )
