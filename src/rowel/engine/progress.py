"""A run in memory: its frames, what its nodes' outcomes do to the plan, and what of it is still to be written.

No awaiting, no journal: the runner feeds it and writes what it collects.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import NamedTuple

from rowel.core.iterations import to_keep, without
from rowel.core.outcomes import Done, Expand, Failure, Fields, Outcome, Pause, Skip, StartChild, Usage
from rowel.core.planner import Decisions, State
from rowel.core.records import Pause as PauseRecord
from rowel.core.records import PauseID, Run, Task
from rowel.core.retry import Retry
from rowel.core.status import RunStatus, RunType, TaskStatus
from rowel.core.stepcache import CacheEntry
from rowel.engine import facts
from rowel.engine.clock import Clock
from rowel.engine.execute import run_pure
from rowel.engine.frames import Frame
from rowel.engine.ids import new_id
from rowel.engine.places import call_scopes
from rowel.nodes.context import Caller, Context, Services
from rowel.store.journal import Changes, Fact

#: The handle by which a person's refusal may leave a node.
DECLINED = "declined"


class Place(NamedTuple):
    """One node in one frame."""

    frame: Frame
    node_id: str

    @property
    def path(self) -> str:
        return self.frame.path(self.node_id)

    @property
    def task(self) -> Task:
        return self.frame.tasks[self.node_id]


class Answer(NamedTuple):
    """What became of a waiting task outside the runner: a person's decision, or its child run."""

    path: str
    task: Task | None = None
    child: Run | None = None
    #: {node id: outputs} of the child run, and which of its nodes gives the result.
    child_outputs: Fields | None = None
    child_output_id: str | None = None
    #: What the child run has spent.
    child_usage: Usage | None = None


class Progress:
    """How far one run has come."""

    def __init__(self, run: Run, root: Frame, services: Services, clock: Clock) -> None:
        self.run = run
        self.root = root
        #: Why the run will end FAILED or CANCELED: the first failure and the first refusal there were. What happens in
        #: a body is for its container to say.
        self.failure: str | None = None
        self.refusal: str | None = None
        #: What its attempts have spent, those of its child runs included.
        self.usage = Usage()
        #: Nodes whose turn has come, nodes to be started once the group has landed, retries that wait for their time.
        self.ready: deque[Place] = deque()
        self.starting: list[Place] = []
        self.sleeping: list[tuple[Place, datetime]] = []
        self.children: list[tuple[Place, StartChild]] = []
        #: Tasks that wait for a person, and those that wait for a child run, by path.
        self.paused: dict[str, Place] = {}
        self.waiting: dict[str, Place] = {}
        #: No time that is noted of this run lies before it.
        self.latest = run.start_time
        self._services = services
        self._caller = Caller(
            is_row=run.run_type is RunType.BATCH, scopes=call_scopes(run, root.program.limit)
        )
        self._clock = clock
        self._tasks: dict[str, Task] = {}
        self._pauses: list[PauseRecord] = []
        self._facts: list[Fact] = []
        #: What a node gives that is to be kept in the step cache, by path, and what is to be written of it.
        self._to_keep: dict[str, CacheEntry] = {}
        self._entries: list[CacheEntry] = []

    def now(self) -> datetime:
        """The time to be noted. It never goes back within a run, though the clock may be set back."""
        self.latest = max(self.latest, self._clock.now())
        return self.latest

    def open(self, frame: Frame, without: frozenset[str] = frozenset()) -> None:
        """Take up what a new or restored frame's plan decided first; some of its nodes may be under way."""
        opening = frame.planner.opening
        start = tuple(node_id for node_id in opening.start if node_id not in without)
        self._apply(frame, Decisions(start, opening.cancel))

    def begin_again(self, place: Place) -> None:
        """The time of a task's next attempt has come, whatever the clock says."""
        place.frame.tasks[place.node_id] = place.task.evolve(retry_at=None)
        self.ready.append(place)

    def collect(self) -> Changes:
        """Hand over everything that is to be written."""
        changes = Changes(
            tasks=list(self._tasks.values()),
            pauses=self._pauses,
            facts=self._facts,
            usage=self.usage,
            entries=self._entries,
        )
        self._tasks, self._pauses, self._facts, self._entries = {}, [], [], []
        return changes

    def put_back(self, changes: Changes) -> None:
        """Keep what did not land."""
        self._tasks = {task.path: task for task in changes.tasks} | self._tasks
        self._pauses = [*changes.pauses, *self._pauses]
        self._facts = [*changes.facts, *self._facts]
        self._entries = [*changes.entries, *self._entries]

    @property
    def message(self) -> str | None:
        """Why the run will not end COMPLETED. A failure outweighs a refusal, as it does in the status."""
        return self.failure or self.refusal

    @property
    def size(self) -> int:
        """How many tasks are to be written."""
        return len(self._tasks)

    @property
    def status(self) -> RunStatus:
        return self.root.planner.status

    def run_ahead(self, limit: int, *, only_pure: bool = False) -> None:
        """Begin the nodes that are ready. Pure ones run now, with what they make ready, up to `limit` records.

        With `only_pure` the others are left for whoever takes the run up next.
        """
        while self.ready and self.size < limit:
            place = self.ready.popleft()
            if not only_pure or place.frame.program.traits[place.node_id].pure:
                self._begin(place)

    def _begin(self, place: Place) -> None:
        frame, node_id = place
        before = frame.tasks.get(node_id)
        if before is not None and before.retry_at is not None and before.retry_at > self._clock.now():
            self.sleeping.append((place, before.retry_at))
            return
        node, is_pure = frame.program.nodes[node_id], frame.program.traits[node_id].pure
        was_running = before is not None and before.status is TaskStatus.RUNNING
        if was_running and not is_pure and node.config.on_interrupt == "fail":
            self._fail_for_good(place, Failure("was interrupted by a crash, and `on_interrupt` is `fail`"))
            return
        frame.tasks[node_id] = Task(
            run_id=self.run.id,
            path=place.path,
            node_id=node_id,
            parent_path=frame.parent_path,
            status=TaskStatus.RUNNING,
            attempt=1 if before is None else before.attempt + 1,
            inputs=frame.received_by(node_id),
            received_from=frame.sources_of(node_id),
            start_time=self.now(),
        )
        if is_pure:
            self.settle(place, run_pure(node.run(place.task.inputs or {}, self.context(place)), place.path))
        else:
            self._note(place.task)
            self.starting.append(place)

    def context(self, place: Place) -> Context:
        """What the node at this place may ask of the world in this attempt."""
        frame, node_id = place
        node = frame.program.nodes[node_id]
        body = frame.program.inner.get(node_id)
        return Context(
            run_id=self.run.id,
            workflow_id=self.run.workflow_id,
            task_id=place.task.id,
            node_id=node_id,
            attempt=place.task.attempt,
            services=self._services,
            now=self._clock.now,
            timeout_s=node.config.timeout_s or node.default_timeout_s,
            caller=self._caller,
            body_input_id=body.graph.input_id if body else None,
            body_output_id=body.graph.output_id if body else None,
            body_titles=body.titles if body else {},
        )

    def tell_wait(self, place: Place, why: str) -> None:
        """A running task has to wait for its turn: written and told with the next group."""
        task = place.task
        if task.status is TaskStatus.RUNNING:
            task = task.evolve(logs=(*task.logs, why))
            place.frame.tasks[place.node_id] = self._tasks[task.path] = task
            self._facts += facts.of_logs(task)

    def spent(self, place: Place, context: Context) -> None:
        """Keep what an attempt logged and what it cost."""
        self.usage += context.usage
        usage = context.usage if context.usage.requests or context.usage.input_tokens else None
        place.frame.tasks[place.node_id] = place.task.evolve(usage=usage, logs=tuple(context.logs))

    def spare(self, place: Place) -> None:
        """The step cache knows what the node would give."""
        place.frame.tasks[place.node_id] = place.task.evolve(is_cached=True)

    def keep(self, place: Place, entry: CacheEntry) -> None:
        """What the node gives is to be kept in the step cache once the task is COMPLETED."""
        self._to_keep[place.path] = entry

    def settle(self, place: Place, outcome: Outcome) -> None:
        """Take in what a node said."""
        match outcome:
            case Done():
                self._complete(place, outcome)
            case Failure():
                self._fail(place, outcome)
            case Skip():
                self._end(place, TaskStatus.CANCELED)
                self._apply(place.frame, place.frame.planner.cancel(place.node_id))
                self.look_up_from(place.frame)
            case Pause():
                self._pause(place, outcome)
            case Expand():
                self._expand(place, outcome.inputs)
            case StartChild():
                self._note(place.task)
                self.children.append((place, outcome))

    def _complete(self, place: Place, done: Done, error: str | None = None) -> None:
        frame, node_id = place
        frame.outputs[node_id] = done.outputs
        if (entry := self._to_keep.pop(place.path, None)) is not None:
            self._entries.append(entry)
        self._end(place, TaskStatus.COMPLETED, outputs=done.outputs, routes=done.routes, error=error)
        self._apply(frame, frame.planner.complete(node_id, done.routes))
        self.look_up_from(frame)

    def _fail(self, place: Place, failure: Failure) -> None:
        frame, node_id = place
        config = frame.program.nodes[node_id].config
        again = None
        if config.retry is not None and not frame.program.traits[node_id].contains:
            retry = Retry(config.retry.attempts, config.retry.backoff_s)
            again = retry.next_at(place.task.attempt, self._clock.now(), failure.retry_after_s)
        if again is None:
            self._fail_for_good(place, failure)
            return
        frame.tasks[node_id] = place.task.evolve(
            status=TaskStatus.PENDING, error=failure.error, retry_at=again
        )
        self._note(place.task)
        self.ready.append(place)

    def _fail_for_good(self, place: Place, failure: Failure) -> None:
        frame, node_id = place
        if frame.program.nodes[node_id].config.on_error == "continue":
            self._complete(place, Done({"error": failure.message}), error=failure.error)
            return
        self._end(place, TaskStatus.FAILED, error=failure.error)
        self._failed(place, failure.message)

    def _failed(self, place: Place, message: str) -> None:
        if place.frame.parent is None:
            self.failure = self.failure or f"Node {place.node_id!r} failed: {message}"
        self._apply(place.frame, place.frame.planner.fail(place.node_id))
        self.look_up_from(place.frame)

    def _pause(self, place: Place, pause: Pause) -> None:
        frame, node_id = place
        record = PauseRecord(
            id=PauseID(new_id()),
            run_id=self.run.id,
            path=place.path,
            node_id=node_id,
            message=pause.message,
            pause_time=self.now(),
            input_data=to_keep(place.task.inputs or {}, place.path),
            form=pause.form,
            assignees=pause.assignees,
            holds_all=pause.holds_all,
            due_at=pause.due_at,
            on_timeout=pause.on_timeout,
        )
        self._set_status(place, TaskStatus.PAUSED)
        self._pauses.append(record)
        self._facts.append(facts.of_pause(record))
        self.paused[place.path] = place
        frame.planner.pause(node_id, holds_all=pause.holds_all)
        self.look_up_from(frame)

    def _expand(self, place: Place, inputs: Fields) -> None:
        iteration = len(place.frame.results.setdefault(place.node_id, []))
        if iteration == 0:
            self._note(place.task)
        self.open(place.frame.inner(place.node_id, iteration, inputs))

    def _apply(self, frame: Frame, decisions: Decisions) -> None:
        now = self.now() if decisions.cancel else None
        for node_id in decisions.cancel:
            frame.tasks[node_id] = Task(
                run_id=self.run.id,
                path=frame.path(node_id),
                node_id=node_id,
                parent_path=frame.parent_path,
                status=TaskStatus.CANCELED,
                end_time=now,
            )
            self._note(frame.tasks[node_id])
        self.ready.extend(Place(frame, node_id) for node_id in decisions.start)

    def look_up_from(self, frame: Frame) -> None:
        """Where a body came to rest, tell its container."""
        status = frame.planner.status
        if frame.parent is None or status is RunStatus.RUNNING:
            return
        place = Place(frame.parent, frame.container)
        if status is RunStatus.PAUSED:
            self._rest_container(place)
        elif status is RunStatus.COMPLETED:
            self.finish_iteration(place, frame.outputs)
        elif status is RunStatus.FAILED:
            self._fail_for_good(place, Failure(_failure_in(frame)))
        else:
            self._decline(place, _refusal_in(frame))

    def _rest_container(self, place: Place) -> None:
        if place.frame.planner.state(place.node_id) is not State.PAUSED:
            self._set_status(place, TaskStatus.PAUSED)
            place.frame.planner.pause(place.node_id)
        self.look_up_from(place.frame)

    def inputs_of_body(self, place: Place) -> Fields:
        """What the iteration under way of this container's body was given."""
        results = place.frame.results[place.node_id]
        node, context, inputs = (
            place.frame.program.nodes[place.node_id],
            self.context(place),
            place.task.inputs or {},
        )
        step = node.after(inputs, results, context) if results else node.run(inputs, context)
        again = run_pure(step, place.path)
        return again.inputs if isinstance(again, Expand) else {}

    def finish_iteration(self, place: Place, outputs: Fields, output_id: str | None = None) -> None:
        """One iteration of a body (or a child run, with its own output node) has ended: the container goes on."""
        results = place.frame.results.setdefault(place.node_id, [])
        if results:
            # Each iteration's history is that of all before it: only the last one has to hold it.
            results[-1] = without(results[-1], "")
        results.append(outputs)
        node, context = place.frame.program.nodes[place.node_id], self.context(place)
        context.body_output_id = output_id or context.body_output_id
        self.settle(place, run_pure(node.after(place.task.inputs or {}, results, context), place.path))

    def _decline(self, place: Place, refusal: str) -> None:
        self._end(place, TaskStatus.CANCELED, error=refusal)
        self._declined(place, refusal)

    def _declined(self, place: Place, refusal: str) -> None:
        if place.frame.parent is None:
            self.refusal = self.refusal or refusal
        self._apply(place.frame, place.frame.planner.cancel(place.node_id, declined=True))
        self.look_up_from(place.frame)

    def take_in(self, answer: Answer) -> None:
        """Take in what a person decided or what became of a child run."""
        if answer.task is not None and answer.task.status.is_final:
            self._take_decision(self.paused.pop(answer.path), answer.task)
        elif answer.child is not None:
            self._take_child(self.waiting[answer.path], answer.child, answer)

    def _take_decision(self, place: Place, task: Task) -> None:
        task = place.frame.whole(task)
        place.frame.tasks[place.node_id] = task
        self.latest = max(self.latest, task.end_time or self.latest)
        self._wake(place.frame)
        if task.status is TaskStatus.COMPLETED:
            place.frame.outputs[place.node_id] = task.outputs or {}
            self._apply(place.frame, place.frame.planner.complete(place.node_id, task.routes))
            self.look_up_from(place.frame)
        elif task.status is TaskStatus.FAILED:
            self._failed(place, task.error or "")
        else:
            self._declined(place, task.error or "declined")

    def _wake(self, frame: Frame) -> None:
        """The containers around this frame work again."""
        if frame.parent is None or frame.parent.planner.state(frame.container) is not State.PAUSED:
            return
        self._wake(frame.parent)
        self._resume(Place(frame.parent, frame.container))

    def _resume(self, place: Place) -> None:
        self._set_status(place, TaskStatus.RUNNING)
        self._apply(place.frame, place.frame.planner.resume(place.node_id))

    def _take_child(self, place: Place, child: Run, answer: Answer) -> None:
        is_paused = place.frame.planner.state(place.node_id) is State.PAUSED
        if child.status is RunStatus.PAUSED:
            self._rest_container(place)
            return
        if is_paused:
            self._wake(place.frame)
            self._resume(place)
        if child.status.is_final:
            del self.waiting[place.path]
            self._end_child(place, child, answer)

    def _end_child(self, place: Place, child: Run, answer: Answer) -> None:
        if answer.child_usage is not None:
            self.usage += answer.child_usage
            place.frame.tasks[place.node_id] = place.task.evolve(usage=answer.child_usage)
        if child.status is RunStatus.COMPLETED:
            self.finish_iteration(place, answer.child_outputs or {}, answer.child_output_id)
        elif child.status is RunStatus.FAILED:
            self._fail_for_good(place, Failure(f"child run {child.id} failed: {child.message}"))
        else:
            self._decline(place, child.message or f"child run {child.id} was canceled")

    def _note(self, task: Task) -> None:
        """Keep a task's new state for the next group."""
        self._tasks[task.path] = task if task.parent_path is None else _to_keep(task)
        self._facts.append(facts.of_task(task))

    def _set_status(self, place: Place, status: TaskStatus) -> None:
        place.frame.tasks[place.node_id] = place.task.evolve(status=status)
        self._note(place.task)

    def _end(
        self,
        place: Place,
        status: TaskStatus,
        *,
        outputs: Fields | None = None,
        routes: frozenset[str] | None = None,
        error: str | None = None,
    ) -> None:
        now = self.now()
        task = place.task.evolve(
            status=status, outputs=outputs, routes=routes, error=error, end_time=now, retry_at=None
        )
        place.frame.tasks[place.node_id] = task
        self._note(task)
        self._facts += facts.of_logs(task)


def _to_keep(task: Task) -> Task:
    inputs, outputs = (fields and to_keep(fields, task.path) for fields in (task.inputs, task.outputs))
    if inputs is task.inputs and outputs is task.outputs:
        return task
    if task.outputs is task.inputs:
        outputs = inputs
    return task.evolve(inputs=inputs, outputs=outputs)


def approved_routes(handles: frozenset[str]) -> frozenset[str] | None:
    """The handles that fire when a person lets a node go on: all but the one for refusals."""
    return handles - {DECLINED} if DECLINED in handles else None


def is_declined(task: Task) -> bool:
    """Whether a person's refusal ended this task; routing and failures leave no error on what they cancel."""
    return task.status is TaskStatus.CANCELED and task.error is not None


def _failure_in(frame: Frame) -> str:
    failed = next(task for task in frame.tasks.values() if task.status is TaskStatus.FAILED)
    reason = (failed.error or "").splitlines()
    return f"node {failed.path!r} in its body failed: {reason[0] if reason else ''}"


def _refusal_in(frame: Frame) -> str:
    return next(task.error for task in frame.tasks.values() if is_declined(task) and task.error)
