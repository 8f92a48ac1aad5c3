"""Runs that have ended, run again: on the outputs that still count, with other outputs, on another version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rowel.core.errors import Conflict, Invalid, NotFound
from rowel.core.outcomes import Fields
from rowel.core.records import Run, Task
from rowel.core.rerun import Fate, Past, Plan, Wish, plan_rerun
from rowel.core.status import RunType, TaskStatus
from rowel.engine.differences import differences
from rowel.engine.given import check_node, checked_outputs, given_tasks, routes_of
from rowel.engine.house import House
from rowel.engine.once import Once
from rowel.engine.programs import Program
from rowel.engine.reads import get_run
from rowel.engine.starts import Inputs, Starts, judged_inputs
from rowel.engine.views import RunView
from rowel.engine.workflows import Pinned, Workflows


@dataclass(frozen=True, kw_only=True)
class Order:
    """What somebody wants to be different in a rerun. Empty: nothing, so it goes on or runs anew."""

    from_nodes: Sequence[str] = ()
    #: {node id: the outputs that it is to have had}
    edits: Mapping[str, Any] = field(default_factory=dict)
    initial_inputs: Inputs | None = None
    #: `same` as the run's, `latest`, or a number.
    version: int | str = "same"
    #: Its nodes don't ask the step cache.
    fresh: bool = False


@dataclass(frozen=True, kw_only=True)
class Rerun:
    """A rerun that is planned: of which run, on which version, and what becomes of each node."""

    old: RunView
    pinned: Pinned
    past: Past
    plan: Plan
    #: Outputs and the handles that they fire, as `checked_outputs` made them.
    edits: Mapping[str, Any]

    @property
    def runs_input(self) -> bool:
        return self.plan.fates.get(self.pinned.program.input_id) is Fate.RUN

    def touches_outside(self, node_id: str) -> bool:
        """Whether this node is to run, and may call or change something outside."""
        runs = self.plan.fates[node_id] is Fate.RUN
        return runs and self.pinned.program.touches_outside(node_id)


class Reruns:
    """The commands that repeat runs."""

    def __init__(self, house: House, starts: Starts) -> None:
        self._house = house
        self._starts = starts

    async def plan(self, run_id: str, order: Order) -> Rerun:
        """What a rerun would do. Writes nothing. Raises what `rerun` raises."""
        return await self._plan(run_id, order, is_only_asked=True)

    async def rerun(self, run_id: str, order: Order, *, once: Once | None = None) -> RunView:
        """Accept a run that repeats an ended one. What is returned is in the store.

        Raises `NotFound`, `Conflict` where the run is open or a batch, `Invalid` and `InvalidInputs`.
        """
        rerun = await self._plan(run_id, order, is_only_asked=False)
        old, program = rerun.old.run, rerun.pinned.program
        inputs: Fields | None = old.initial_inputs
        if order.initial_inputs is not None:
            inputs = await self._starts.checked_inputs(program, order.initial_inputs, {})
        self._house.dispatch.check_room()
        partial = old.partial and {**old.partial, "scope": sorted(rerun.plan.fates)}
        run = rerun.pinned.new_run(
            RunType.RERUN, self._house.now(), initial_inputs=inputs, origin_id=old.id, partial=partial
        ).evolve(is_fresh=order.fresh)
        return await self._starts.accept(run, rerun.pinned, born_tasks(run, rerun), once=once)

    async def _plan(self, run_id: str, order: Order, *, is_only_asked: bool) -> Rerun:
        old = await get_run(self._house, run_id)
        _check_ended(old)
        pinned = await pinned_again(self._house.workflows, old, order.version, is_only_asked=is_only_asked)
        rerun = prepare_rerun(old, pinned, order)
        if order.initial_inputs is not None or rerun.runs_input:
            inputs = old.run.initial_inputs if order.initial_inputs is None else order.initial_inputs
            judged_inputs(pinned.program, inputs, {})
        return rerun


async def pinned_again(
    workflows: Workflows, old: RunView, version: int | str, *, is_only_asked: bool = False
) -> Pinned:
    """The version that an ended run is repeated on: `same`, `latest` or a number.

    Raises `NotFound` for an unknown version, and where the workflow was deleted: nothing new starts of it.
    """
    workflow_id = old.run.workflow_id
    try:
        await workflows.get(workflow_id)
    except NotFound:
        raise NotFound(f"The workflow of run {old.run.id} was deleted: nothing new starts of it.") from None
    if version == "same":
        return Pinned(old.version, old.program)
    if version == "latest":
        return await (workflows.upcoming if is_only_asked else workflows.current)(workflow_id)
    if isinstance(version, str):
        raise Invalid(f"version: 'same', 'latest' or a number, not {version[:128]!r}.")
    return await workflows.numbered(workflow_id, version)


def prepare_rerun(old: RunView, pinned: Pinned, order: Order) -> Rerun:
    """Plan the rerun of one run, a row of a batch too. Raises `NotFound`, `Invalid` and `InvalidInputs`."""
    program = pinned.program
    for node_id in order.from_nodes:
        check_node(program, node_id, "from_nodes")
    edits = checked_outputs(program, order.edits, "edits")
    wish = Wish(
        chosen=frozenset(order.from_nodes),
        edited={node_id: _routes(outputs) for node_id, outputs in edits.items()},
        renews_inputs=order.initial_inputs is not None,
    )
    past = _past(old, pinned)
    return Rerun(old=old, pinned=pinned, past=past, plan=plan_rerun(program.graph, past, wish), edits=edits)


def _routes(checked: Mapping[str, Any]) -> frozenset[str] | None:
    routes = checked["routes"]
    return None if routes is None else frozenset(routes)


def _past(old: RunView, pinned: Pinned) -> Past:
    """What the run left behind, as the version sees it that its rerun runs on."""
    tasks = {task.node_id: task for task in old.tasks if task.parent_path is None}
    changed: dict[str, str] = {}
    if pinned.version.definition_hash != old.version.definition_hash:
        changed = differences(old.program, pinned.program, f"in version {pinned.version.version}")
        tasks = {node_id: _on(pinned.program, task) for node_id, task in tasks.items()}
    partial = old.run.partial
    if partial is None:
        return Past(status=old.run.status, tasks=tasks, differences=changed)
    target = partial["node_id"]
    check_node(pinned.program, target, "The partial run can't be repeated")
    scope = frozenset(partial["scope"])
    return Past(status=old.run.status, tasks=tasks, differences=changed, target=target, scope=scope)


def _on(program: Program, task: Task) -> Task:
    """A task whose outputs were given fires what these fire in this version."""
    if not task.is_given or task.node_id not in program.graph:
        return task
    return task.evolve(routes=routes_of(program, task.node_id, task.outputs or {}))


def born_tasks(run: Run, rerun: Rerun) -> list[Task]:
    """The tasks of a rerun that have ended before it begins: reused, edited and canceled ones."""
    fates = rerun.plan.fates
    inside = (task for task in rerun.old.tasks if task.parent_path is not None)
    return [
        *(_copy(run, rerun.past.tasks[node_id]) for node_id, fate in fates.items() if fate is Fate.REUSE),
        *(_copy(run, task) for task in inside if fates.get(task.path.partition(".")[0]) is Fate.REUSE),
        *given_tasks(run, {name: rerun.edits[name] for name, fate in fates.items() if fate is Fate.EDIT}),
        *(_canceled(run, node_id) for node_id, fate in fates.items() if fate is Fate.CANCEL),
    ]


def _copy(run: Run, task: Task) -> Task:
    """A task as the rerun has it from its first moment on. What it cost was paid by the run that it is from."""
    start = None if task.start_time is None else run.start_time
    return task.evolve(
        run_id=run.id, attempt=0, usage=None, start_time=start, end_time=run.start_time, is_cached=False
    )


def _canceled(run: Run, node_id: str) -> Task:
    return Task(
        run_id=run.id, path=node_id, node_id=node_id, status=TaskStatus.CANCELED, end_time=run.start_time
    )


def _check_ended(old: RunView) -> None:
    run = old.run
    if old.batch is not None:
        raise Conflict(
            f"Run {run.id} is a batch: redrive its rows, or rerun one of them by its own run's id.",
            "is_batch",
        )
    if not run.status.is_final:
        raise Conflict(
            f"Run {run.id} is {run.status}; a run can be repeated once it has ended. Wait for it, or cancel it.",
            "still_open",
        )
