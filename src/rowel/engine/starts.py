"""Starts runs: blocking, in the background, partially, and as children of others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from rowel.core.errors import Invalid, InvalidInputs, NotFound, Unavailable
from rowel.core.outcomes import Fields, StartChild
from rowel.core.records import Receipt, Run, Task
from rowel.core.status import RunStatus, RunType
from rowel.engine import facts
from rowel.engine.given import check_json, checked_outputs, given_tasks, scope_of
from rowel.engine.house import House
from rowel.engine.once import Once
from rowel.engine.programs import Program
from rowel.engine.reads import find_run, get_changed_run
from rowel.engine.restore import new_frame
from rowel.engine.runner import Means, ReadNews, Runner
from rowel.engine.views import RunView, view
from rowel.engine.workflows import Pinned
from rowel.files.uploads import replace_data_uris
from rowel.store import runs
from rowel.store.journal import Changes

Inputs = Mapping[str, Any]


class Starts:
    """The commands that make runs."""

    def __init__(self, house: House, read_news: ReadNews) -> None:
        self._house = house
        self.means = Means(
            journal=house.journal,
            services=house.services,
            clock=house.clock,
            wakeups=house.wakeups,
            start_child=self.start_child,
            read_news=read_news,
            cache=house.cache,
            places=house.places,
            observer=house.observer,
        )

    async def start(
        self,
        workflow_id: str,
        initial_inputs: Inputs | None,
        *,
        parent_run_id: str | None = None,
        files: Mapping[str, Sequence[str]] | None = None,
        fresh: bool = False,
        once: Once | None = None,
    ) -> RunView:
        """Accept a run and let it move in the background. What is returned is in the store."""
        run, pinned = await self._prepare(workflow_id, initial_inputs, parent_run_id, files, fresh=fresh)
        self._house.dispatch.check_room()
        return await self.accept(run, pinned, once=once)

    async def run(
        self,
        workflow_id: str,
        initial_inputs: Inputs | None,
        *,
        parent_run_id: str | None = None,
        files: Mapping[str, Sequence[str]] | None = None,
        timeout_s: float = 300.0,
        fresh: bool = False,
        once: Once | None = None,
    ) -> RunView:
        """Run and wait until the run rests or `timeout_s` seconds are over; then the run goes on by itself."""
        run, pinned = await self._prepare(workflow_id, initial_inputs, parent_run_id, files, fresh=fresh)
        return await self._run(run, pinned, timeout_s, once)

    async def run_partial(
        self,
        workflow_id: str,
        node_id: str,
        initial_inputs: Inputs | None,
        partial_outputs: Mapping[str, Fields] | None,
        *,
        timeout_s: float = 300.0,
        fresh: bool = False,
        once: Once | None = None,
    ) -> RunView:
        """Run one node and those of its ancestors that have no given outputs."""
        pinned = await self._house.workflows.current(workflow_id)
        given = checked_outputs(pinned.program, partial_outputs or {}, "partial_outputs")
        scope = scope_of(pinned.program, node_id, frozenset(given))
        inputs = await self.checked_inputs(
            pinned.program, initial_inputs, {}, asks=pinned.program.input_id in scope - given.keys()
        )
        used = {name: outputs for name, outputs in given.items() if name in scope}
        run = pinned.new_run(RunType.PARTIAL, self._house.now(), initial_inputs=inputs).evolve(
            partial={"node_id": node_id, "scope": sorted(scope)}, is_fresh=fresh
        )
        return await self._run(run, pinned, timeout_s, once, given_tasks(run, used))

    async def start_child(self, owner: Run, path: str, wish: StartChild) -> None:
        """Start the child run that a subworkflow task waits for, unless an earlier try did."""
        child = await self._house.database.read(lambda connection: runs.child_of(connection, owner.id, path))
        if child is None:
            child = await self._begin_child(owner, path, wish)
        if child is not None and child.has_work:
            self._house.dispatch.spawn(child.id)

    async def _begin_child(self, owner: Run, path: str, wish: StartChild) -> Run | None:
        pinned = await self._pinned(wish)
        await self._check_nesting(owner)
        inputs = await self.checked_inputs(pinned.program, {pinned.program.input_id: wish.inputs}, {})
        run = pinned.new_run(owner.run_type, self._house.now(), initial_inputs=inputs).evolve(
            parent_run_id=owner.id, owner_id=owner.id, owner_path=path, is_fresh=owner.is_fresh
        )
        changes = Changes(facts=[facts.of_run(run, RunStatus.PENDING)])
        return run if await self._house.journal.begin(run, changes, persistent=True) else None

    async def _pinned(self, wish: StartChild) -> Pinned:
        if wish.version is None:
            return await self._house.workflows.current(wish.workflow_id)
        return await self._house.workflows.numbered(wish.workflow_id, wish.version)

    async def _check_nesting(self, owner: Run) -> None:
        """A workflow that contains itself must end somewhere."""
        depth, run = 1, owner
        while run.owner_id is not None:
            run = await find_run(self._house, run.owner_id)
            depth += 1
        if depth >= MAX_NESTING:
            raise Invalid(f"Runs may be nested {MAX_NESTING} deep, and this one would lie deeper.")

    async def _prepare(
        self,
        workflow_id: str,
        initial_inputs: Inputs | None,
        parent_run_id: str | None,
        files: Mapping[str, Sequence[str]] | None,
        *,
        fresh: bool,
    ) -> tuple[Run, Pinned]:
        pinned = await self._house.workflows.current(workflow_id)
        if parent_run_id is not None:
            await self._check_parent(parent_run_id)
        inputs = await self.checked_inputs(pinned.program, initial_inputs, files or {})
        run = pinned.new_run(RunType.INTERACTIVE, self._house.now(), initial_inputs=inputs)
        return run.evolve(parent_run_id=parent_run_id, is_fresh=fresh), pinned

    async def _check_parent(self, parent_run_id: str) -> None:
        try:
            await find_run(self._house, parent_run_id)
        except NotFound as error:
            raise InvalidInputs(f"parent_run_id: {error.message}") from error

    async def checked_inputs(
        self,
        program: Program,
        initial_inputs: Inputs | None,
        files: Mapping[str, Sequence[str]],
        *,
        asks: bool = True,
    ) -> Fields | None:
        """The inputs as the run keeps them: files added, data URIs stored. Raises `InvalidInputs`."""
        given = judged_inputs(program, initial_inputs, files, asks=asks)
        kept: Fields | None = given and await replace_data_uris(given, self._house.files)
        return kept

    async def accept(
        self, run: Run, pinned: Pinned, born: Sequence[Task] = (), *, once: Once | None = None
    ) -> RunView:
        """Write the run as PENDING, then let it move. `born` are the tasks that have ended before it begins; what is
        returned answers the request that comes once."""
        seen = view(run, pinned.version, born, pinned.program)
        await self._accept(run, pinned, born, once.answered(seen, run.start_time) if once else None)
        return seen

    async def _accept(self, run: Run, pinned: Pinned, born: Sequence[Task], receipt: Receipt | None) -> None:
        told = [facts.of_run(run, RunStatus.PENDING)]
        await self._house.journal.begin(run, Changes(tasks=born, facts=told, receipt=receipt))
        run = run.evolve(seq=len(told))
        self._house.publish(run.id, run.seq, told)
        runner = self._runner(run, pinned.program, born)
        self._house.dispatch.submit(run.id, runner)

    async def _run(
        self, run: Run, pinned: Pinned, timeout_s: float, once: Once | None, born: Sequence[Task] = ()
    ) -> RunView:
        dispatch = self._house.dispatch
        dispatch.check_room()
        rested = dispatch.wait(run.id)
        runner: Runner | None = None
        receipt = once.receipt(run.id, run.start_time) if once else None
        try:
            # Whoever may have to wait for a place is in the store before.
            if not born and dispatch.has_slot() and pinned.program.limit.at_once is None:
                runner = self._runner(run, pinned.program, is_new=True, receipt=receipt)
                dispatch.submit(run.id, runner)
            else:
                await self._accept(run, pinned, born, receipt)
            return await self._seen_when(rested, run, pinned, runner, timeout_s)
        finally:
            dispatch.forget(run.id, rested)

    async def _seen_when(
        self, rested: asyncio.Future[Run], run: Run, pinned: Pinned, runner: Runner | None, timeout_s: float
    ) -> RunView:
        """The run once it rests, or as it is when the time is up or the process ends. `runner` writes its row."""
        try:
            run = await asyncio.wait_for(asyncio.shield(rested), timeout_s)
        except TimeoutError:
            if runner is not None:
                await _settled(runner.kept, rested)
            return await get_changed_run(self._house, run.id)
        except Unavailable:
            if runner is not None and not runner.kept.is_set():
                raise
            return await get_changed_run(self._house, run.id)
        if runner is None or pinned.program.inner or not run.status.is_final:
            return await get_changed_run(self._house, run.id)
        return view(run, pinned.version, list(runner.progress.root.tasks.values()), pinned.program)

    def _runner(
        self,
        run: Run,
        program: Program,
        born: Sequence[Task] = (),
        *,
        is_new: bool = False,
        receipt: Receipt | None = None,
    ) -> Runner:
        frame = new_frame(run, program, born)
        runner = Runner(self.means, run, frame, is_new=is_new, receipt=receipt)
        runner.progress.open(frame)
        return runner


async def _settled(kept: asyncio.Event, rested: asyncio.Future[Run]) -> None:
    """Wait until a run is in the store. Raises what kept it from getting there."""
    keeping = asyncio.ensure_future(kept.wait())
    try:
        either: set[asyncio.Future[Any]] = {keeping, rested}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        keeping.cancel()
    if rested.done():
        rested.result()


#: How deep runs may start runs.
MAX_NESTING = 8


def check_inputs(program: Program, given: Mapping[str, Fields], *, asks: bool = True) -> None:
    """Raise `InvalidInputs` unless these are inputs this workflow takes. `asks`: its input node runs."""
    for node_id in given:
        if node_id not in program.graph:
            raise InvalidInputs(f"initial_inputs: the workflow has no node {node_id[:128]!r}.")
        if node_id != program.input_id:
            raise InvalidInputs(
                f"initial_inputs: node {node_id!r} takes no inputs; only the input node {program.input_id!r} does."
            )
    if not asks:
        return
    problems = program.nodes[program.input_id].input_problems(given.get(program.input_id, {}))
    if problems.missing:
        names = ", ".join(problems.missing)
        raise InvalidInputs(f"initial_inputs: node {program.input_id!r} lacks the required fields {names}.")
    if problems.wrong:
        raise InvalidInputs(f"initial_inputs: node {program.input_id!r}: {'; '.join(problems.wrong)}")


def judged_inputs(
    program: Program,
    initial_inputs: Inputs | None,
    files: Mapping[str, Sequence[str]],
    *,
    asks: bool = True,
) -> dict[str, Any] | None:
    """The inputs with files added, None where there are none. Raises `InvalidInputs`."""
    if initial_inputs is None and not files:
        check_inputs(program, {}, asks=asks)
        return None
    given = {node_id: dict(_object(node_id, value)) for node_id, value in (initial_inputs or {}).items()}
    for node_id, paths in files.items():
        given.setdefault(node_id, {})["files"] = list(paths)
    check_inputs(program, given, asks=asks)
    check_json("initial_inputs", given)
    return given


def _object(node_id: str, value: Any) -> Fields:
    if not isinstance(value, Mapping):
        raise InvalidInputs(f"initial_inputs: what is given to node {node_id[:128]!r} must be an object.")
    return value
