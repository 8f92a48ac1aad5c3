"""Whether every run is there, ends as it must, and stays as it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from rowel.cli.drill.evidence import Evidence, grouped, in_order
from rowel.cli.drill.harms import Finding, Harm
from rowel.cli.drill.history import Cancel, ShownRun, ShownTask
from rowel.client.words import Action, Status

#: The node whose output says which edition of a workflow was executed, and the field that does.
EDITION = "edition"


def find_lost(evidence: Evidence) -> Iterator[Finding]:
    """What was acknowledged, or ever shown, must be in the lists."""
    listed = set(evidence.history.listed)
    roots = {run.key: run for run in evidence.last.values() if run.id in listed and run.parent_id is None}
    for start in evidence.history.starts:
        if not start.is_taken:
            continue
        run = roots.get(start.order.key)
        if run is None or start.run_id not in (None, run.id):
            name = start.run_id or "(it was answered with its outputs)"
            yield Finding(
                Harm.LOST_RUN,
                f"run {name} of {start.order.sample} ({start.order.key}) was acknowledged and is nowhere",
            )
        elif start.waited and run.status is not Status.COMPLETED:
            yield Finding(
                Harm.CHANGED_END,
                f"run {run.id} of {run.sample} was answered with its outputs and is {run.status}",
            )
    for run_id in evidence.last.keys() - listed - {start.run_id for start in evidence.history.starts}:
        yield Finding(Harm.LOST_RUN, f"run {run_id} was shown and is nowhere")


def find_ghosts(evidence: Evidence) -> Iterator[Finding]:
    """What was refused must not run; what was asked for once, however often it was sent, must not run twice."""
    roots = Counter(
        run.key for run in evidence.last.values() if run.parent_id is None and run.key is not None
    )
    for key, starts in grouped((start.order.key, start) for start in evidence.history.starts).items():
        if roots[key] and not any(start.may_have_landed for start in starts):
            yield Finding(
                Harm.GHOST_RUN,
                f"the start of {starts[0].order.sample} ({key}) was refused with {starts[0].status}, and runs",
            )
    for key, count in roots.items():
        if count > 1:
            yield Finding(Harm.REPEATED_RUN, f"the start {key} was wanted once and is {count} runs")
    yield from _find_twins(evidence)


def _find_twins(evidence: Evidence) -> Iterator[Finding]:
    for parent_id, children in evidence.children.items():
        keys = Counter(child.key for child in children if child.row_index is None)
        for key, count in keys.items():
            if count > 1:
                yield Finding(
                    Harm.REPEATED_RUN, f"run {parent_id} started the child run of {key} {count} times"
                )


def find_wrong_ends(evidence: Evidence) -> Iterator[Finding]:
    """Every run ends, and as what was asked of it allows."""
    for run_id in dict.fromkeys(evidence.history.listed):
        run = evidence.last.get(run_id)
        if run is None:
            yield Finding(Harm.UNFINISHED_RUN, f"run {run_id} is listed, and nobody could look at it")
            continue
        lawful = ends_of(evidence, run)
        if run.status in lawful:
            continue
        told = f" ({run.message})" if run.message else ""
        what = f"run {run.id} of {run.sample} is {run.status}{told}, not {' or '.join(sorted(lawful))}"
        if any(cancel.is_taken for cancel in evidence.cancels.get(run.id, ())):
            yield Finding(Harm.UNDONE_CANCEL, f"{what}, though its cancel was accepted")
        elif run.status.is_final:
            yield Finding(Harm.WRONG_END, what)
        else:
            yield Finding(Harm.UNFINISHED_RUN, what)


def ends_of(evidence: Evidence, run: ShownRun) -> set[Status]:
    """Every status in which this run may come to rest."""
    if any(cancel.is_taken for cancel in evidence.cancels.get(run.id, ())):
        return {Status.CANCELED}
    ends = _ends_alone(evidence, run)
    if any(cancel.may_have_landed for cancel in _cancels_above(evidence, run)):
        ends.add(Status.CANCELED)
    return ends


def _cancels_above(evidence: Evidence, run: ShownRun) -> Iterator[Cancel]:
    for one in evidence.lineage(run):
        yield from evidence.cancels.get(one.id, ())


def _ends_alone(evidence: Evidence, run: ShownRun) -> set[Status]:
    """How it may end where nobody cancels it."""
    sample, row = evidence.sample(run), evidence.row(run)
    if sample.stays_paused:
        return {Status.PAUSED}
    if row is not None and row.fails:
        return {Status.FAILED}
    if _is_declined(evidence, run):
        return {Status.CANCELED}
    may_fail = sample.calls_once and evidence.blows
    return {Status.COMPLETED, Status.FAILED} if may_fail else {Status.COMPLETED}


def _is_declined(evidence: Evidence, run: ShownRun) -> bool:
    sample = evidence.sample(run)
    pauses = (evidence.pause(run.id, node_id) for node_id in sample.asks - sample.declinable)
    return any(pause is not None and pause.action is Action.DECLINE for pause in pauses)


class Known:
    """What answers have said of one run, and must hold from then on."""

    def __init__(self) -> None:
        self.end: Status | None = None
        self.percentage = 0.0
        self.tasks: dict[str, ShownTask] = {}

    def learn(self, run: ShownRun) -> None:
        if run.status.is_final and self.end is None:
            self.end = run.status
        self.percentage = max(self.percentage, run.percentage)
        for task in run.tasks:
            if task.status.is_final:
                self.tasks.setdefault(task.id, task)

    def contradictions(self, run: ShownRun) -> Iterator[Finding]:
        """What this later answer says against it."""
        if self.end is not None and run.status is not self.end:
            yield Finding(
                Harm.CHANGED_END,
                f"run {run.id} of {run.sample} was {self.end} and is {run.status} afterwards",
            )
        if run.percentage < self.percentage:
            yield Finding(
                Harm.WENT_BACK,
                f"run {run.id} of {run.sample} was at {self.percentage:g} % and is at {run.percentage:g} % afterwards",
            )
        yield from self._changed_tasks(run, {task.id: task for task in run.tasks})

    def _changed_tasks(self, run: ShownRun, now: Mapping[str, ShownTask]) -> Iterator[Finding]:
        for task_id, before in self.tasks.items():
            after = now.get(task_id)
            if after is None:
                yield Finding(
                    Harm.CHANGED_END, f"task {task_id} of {run.sample} was {before.status} and is gone"
                )
            elif (after.status, after.outputs) != (before.status, before.outputs):
                yield Finding(
                    Harm.CHANGED_END,
                    f"node {before.node_id} of run {run.id} ({run.sample}) was {before.status} with {before.outputs} "
                    f"and is {after.status} with {after.outputs} afterwards",
                )


def find_changes(evidence: Evidence) -> Iterator[Finding]:
    """What was shown as final stays, and no percentage goes back."""
    for shown in evidence.shown.values():
        known = Known()
        for news, run in in_order(shown):
            for earlier in news:
                known.learn(earlier)
            found = list(known.contradictions(run))
            yield from found
            if found:
                break


def find_other_versions(evidence: Evidence) -> Iterator[Finding]:
    """A run shows one version for ever, and executes that."""
    for run_id, shown in evidence.shown.items():
        told = sorted({(run.version or 0, run.edition or 0) for run in shown})
        if len(told) > 1:
            versions = " and ".join(str(version) for version, _ in told)
            yield Finding(
                Harm.OTHER_VERSION, f"run {run_id} of {shown[0].sample} shows the versions {versions}"
            )
            continue
        last = evidence.last[run_id]
        executed = _edition(last)
        if executed is not None and executed != last.edition:
            yield Finding(
                Harm.OTHER_VERSION,
                f"node {EDITION} of run {run_id} ({last.sample}) executed edition {executed}, "
                f"and the run shows edition {last.edition}",
            )


def _edition(run: ShownRun) -> int | None:
    """The edition that was executed; None where that is not known."""
    told = (task.outputs for task in run.tasks if task.node_id == EDITION and task.outputs)
    return next((int(outputs[EDITION]) for outputs in told), None)
