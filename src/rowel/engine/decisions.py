"""What people decide about pauses, and what time decides where nobody did."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from rowel.core.errors import Conflict, InvalidForm, NotFound, Unavailable
from rowel.core.outcomes import Failure, Fields
from rowel.core.records import Pause, Receipt, Run, Task
from rowel.core.schemas import Schema
from rowel.core.status import PauseAction, RunStatus, TaskStatus
from rowel.engine import canaries, facts
from rowel.engine.cancels import Cancels
from rowel.engine.execute import checked
from rowel.engine.house import House
from rowel.engine.once import Once
from rowel.engine.owners import wake_owner
from rowel.engine.progress import DECLINED, approved_routes
from rowel.engine.reads import find_run, get_changed_run, get_run
from rowel.engine.views import RunView
from rowel.nodes.base import Node
from rowel.store import pauses
from rowel.store.journal import Decision, Fact

#: Who is named, and what is said, where a pause ran out of time.
TIMEOUT_USER = "timeout"
LATE = "Nobody answered in time."
#: What `on_timeout` means; for any other word the node fails.
TIMEOUT_ACTIONS = {"approve": PauseAction.APPROVE, "decline": PauseAction.DECLINE}


class Decisions:
    """The commands that answer pauses."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def decide(
        self,
        run_id: str,
        action: PauseAction,
        inputs: Fields,
        user_id: str,
        comments: str | None,
        *,
        node_id: str | None = None,
        once: Once | None = None,
    ) -> RunView:
        """Answer the oldest open pause of a run, or that of `node_id`.

        Raises `NotFound`, `Conflict` where nothing waits or somebody was faster, and `InvalidForm`.
        """
        run = await find_run(self._house, run_id)
        pause = await self._open_pause(run, node_id)
        check_outputs(inputs)
        if action is not PauseAction.DECLINE:
            check_form(pause, inputs)
        told = await self._answer(run, pause, action, inputs, user_id, comments, once)
        seen = await get_changed_run(self._house, run_id)
        return replace(seen, run=seen.run.evolve(message=told))

    async def answer(
        self,
        run: Run,
        pause: Pause,
        action: PauseAction,
        inputs: Fields,
        user_id: str,
        comments: str | None,
        at: datetime | None = None,
    ) -> None:
        """Answer this very pause, whose form was looked at; `at` is when it was decided, if not now. Raises `Conflict`
        and `InvalidForm`."""
        await self._answer(run, pause, action, inputs, user_id, comments, at=at)

    async def time_out(self, pause: Pause) -> None:
        """Apply `on_timeout` to a pause whose time is up. Does nothing where somebody was faster."""
        run = await find_run(self._house, pause.run_id)
        action = TIMEOUT_ACTIONS.get(pause.on_timeout or "")
        try:
            await self._answer(run, pause, action, {}, TIMEOUT_USER, LATE)
        except InvalidForm as error:
            await self._give_up(run, pause, f"{LATE} What it received can't be handed on: {error.message}")
        except Conflict:
            return

    async def _give_up(self, run: Run, pause: Pause, why: str) -> None:
        """Let the node fail."""
        try:
            await self._answer(run, pause, None, {}, TIMEOUT_USER, why)
        except Conflict:
            return

    async def _open_pause(self, run: Run, node_id: str | None) -> Pause:
        found = await self._house.database.read(lambda connection: pauses.of_run(connection, run.id))
        is_open = [pause for pause in reversed(found) if pause.is_open]
        if node_id is not None:
            await self._check_node(run, node_id)
            is_open = [pause for pause in is_open if node_id in (pause.node_id, pause.path)]
        if is_open:
            return is_open[0]
        what = "no pause of it is open" if node_id is None else f"no pause of node {node_id[:128]!r} is open"
        answered = [pause for pause in found if pause.resume_user_id and node_id in (None, pause.node_id)]
        raise Conflict(
            f"Run {run.id} is {run.status}; {what}.{_who(answered[0]) if answered else ''}", "not_paused"
        )

    async def _check_node(self, run: Run, node_id: str) -> None:
        seen = await get_run(self._house, run.id)
        known = {task.node_id for task in seen.tasks} | {task.path for task in seen.tasks}
        if node_id not in (known if seen.batch is None else {canaries.NODE_ID}):
            raise NotFound(f"node_id: run {run.id} has no node {node_id[:128]!r}.")

    async def _answer(  # noqa: PLR0913  # the words of a decision
        self,
        run: Run,
        pause: Pause,
        action: PauseAction | None,
        inputs: Fields,
        user_id: str,
        comments: str | None,
        once: Once | None = None,
        at: datetime | None = None,
    ) -> str:
        """Write the decision; return the sentence that says what was decided."""
        seen = await get_run(self._house, run.id)
        because = f": {comments}" if comments else ""
        told = f"{_verb(action)} by {user_id}{because}"
        if seen.batch is None:
            sentence = f"Node {pause.node_id!r} was {told}"
            task = self._decided(seen, pause, action, inputs, sentence, comments)
        else:
            sentence, task = f"The rest of the batch was {told}", None
        decision = Decision(
            pause_id=pause.id,
            run_id=run.id,
            action=action,
            user_id=user_id,
            inputs=inputs,
            comments=comments,
            time=max(pause.pause_time, at or self._house.now()),
            task=task,
        )
        if once is not None:
            kept = _receipts(once, seen, decision, sentence, self._house.now())
            decision = replace(decision, receipts=kept)
        if seen.batch is not None and action is PauseAction.DECLINE:
            await self._end_batch(run, pause, decision, sentence)
        else:
            await self._write(run, pause, decision)
        return sentence

    async def _write(self, run: Run, pause: Pause, decision: Decision) -> None:
        told = await self._facts(run, pause, decision)
        answered = await self._house.journal.decide(run, decision, told)
        if answered is None:
            raise await self._too_late(run, pause)
        self._house.publish(run.id, answered.seq, told)
        self._house.dispatch.wake(run)
        with suppress(Unavailable):
            # The next look at runs with work finds an owner that was not woken.
            await wake_owner(self._house, run)

    async def _end_batch(self, run: Run, pause: Pause, decision: Decision, sentence: str) -> None:
        try:
            await Cancels(self._house).cancel(run.id, sentence, decision)
        except Conflict:
            raise await self._too_late(run, pause) from None

    def _decided(
        self,
        seen: RunView,
        pause: Pause,
        action: PauseAction | None,
        inputs: Fields,
        sentence: str,
        comments: str | None,
    ) -> Task:
        """The paused task as the decision leaves it."""
        before = next(task for task in seen.tasks if task.path == pause.path)
        program, node_id = seen.program.at(pause.path)
        handles = program.graph.handles(node_id)
        now = max(pause.pause_time, self._house.now())
        if action is None:
            failed = _failed(before, program.nodes[node_id], handles, comments or LATE)
            return failed.evolve(end_time=now)
        if action is PauseAction.DECLINE and DECLINED not in handles:
            return before.evolve(status=TaskStatus.CANCELED, error=sentence, end_time=now)
        outputs = dict(inputs) if action is PauseAction.OVERRIDE else {**pause.input_data, **inputs}
        check_outputs(outputs)
        routes = frozenset({DECLINED}) if action is PauseAction.DECLINE else approved_routes(handles)
        return before.evolve(status=TaskStatus.COMPLETED, outputs=outputs, routes=routes, end_time=now)

    async def _facts(self, run: Run, pause: Pause, decision: Decision) -> list[Fact]:
        answered = _closed(pause, decision)
        told = [facts.of_pause(answered)]
        if decision.task is not None:
            told.append(facts.of_task(decision.task))
        if run.status is RunStatus.PAUSED:
            others = await self._house.database.read(
                lambda connection: pauses.open_of_run(connection, run.id)
            )
            if [other.id for other in others] == [pause.id]:
                told.append(facts.of_run(run, RunStatus.RUNNING))
        return told

    async def _too_late(self, run: Run, pause: Pause) -> Conflict:
        """Say who was faster."""
        now = await self._house.database.read(lambda connection: pauses.get(connection, pause.id))
        seen = await find_run(self._house, run.id)
        who = _who(now) if now is not None and now.resume_user_id else ""
        return Conflict(f"Run {run.id} is {seen.status}; this pause is no longer open.{who}", "not_paused")


def _receipts(
    once: Once, seen: RunView, decision: Decision, sentence: str, now: datetime
) -> dict[RunStatus, Receipt]:
    """The receipt for each status that the run may have once this is decided."""
    after = (
        [_refused(seen, decision)]
        if seen.batch is not None and decision.action is PauseAction.DECLINE
        else [_going_on(seen, decision, status) for status in (RunStatus.RUNNING, RunStatus.PAUSED)]
    )
    told = [replace(then, run=then.run.evolve(message=sentence)) for then in after]
    return {then.run.status: once.answered(then, now) for then in told}


def _going_on(seen: RunView, decision: Decision, status: RunStatus) -> RunView:
    task = decision.task
    tasks = [task if task and other.path == task.path else other for other in seen.tasks]
    return replace(seen, run=seen.run.evolve(status=status), tasks=tasks)


def _refused(seen: RunView, decision: Decision) -> RunView:
    """A batch of which no more rows are to run."""
    run, batch = seen.run, seen.batch
    ended = run.evolve(status=RunStatus.CANCELED, end_time=run.ended_at(decision.time))
    rest = batch and replace(batch, canceled=batch.total - batch.completed - batch.failed)
    return replace(seen, run=ended, batch=rest)


def check_form(pause: Pause, inputs: Mapping[str, Any]) -> None:
    """Raise `InvalidForm` naming the field where the answer doesn't fit the pause's form."""
    if pause.form is None:
        return
    schema = Schema.of({"form": pause.form}, "form")
    problems = schema.problems(inputs) if schema is not None else []
    if problems:
        raise InvalidForm(f"inputs: {'; '.join(problems)}. Node {pause.node_id!r} still waits.")


def check_outputs(outputs: Fields) -> None:
    """Raise `InvalidForm` where a node could not give this."""
    outcome = checked(outputs, "")
    if isinstance(outcome, Failure):
        raise InvalidForm(f"inputs: {outcome.message}")


def _failed(task: Task, node: Node[Any], handles: frozenset[str], error: str) -> Task:
    if node.config.on_error != "continue":
        return task.evolve(status=TaskStatus.FAILED, error=error)
    outputs = {"error": error}
    return task.evolve(
        status=TaskStatus.COMPLETED, outputs=outputs, routes=approved_routes(handles), error=error
    )


def _closed(pause: Pause, decision: Decision) -> Pause:
    return replace(pause, is_open=False, resume_action=decision.action, resume_user_id=decision.user_id)


def _verb(action: PauseAction | None) -> str:
    match action:
        case PauseAction.APPROVE:
            return "approved"
        case PauseAction.DECLINE:
            return "declined"
        case PauseAction.OVERRIDE:
            return "overridden"
    return "failed"


def _who(pause: Pause) -> str:
    when = pause.resume_time.isoformat(timespec="seconds") if pause.resume_time else "earlier"
    return f" It was {_verb(pause.resume_action)} by {pause.resume_user_id} at {when}."
