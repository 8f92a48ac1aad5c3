"""What ran outside: side effects that came twice, too late, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from rowel.cli.drill.evidence import Evidence
from rowel.cli.drill.harms import Finding, Harm
from rowel.cli.drill.history import Call, ShownRun, ShownTask
from rowel.client.words import Status

#: Seconds for which a call that was under way may still arrive when Rowel has said, or died saying, that it ended.
UNDER_WAY_S = 0.5


def find_calls_after_completed(evidence: Evidence) -> Iterator[Finding]:
    """A task that was once shown COMPLETED calls nobody any more."""
    for shown in evidence.shown.values():
        first: dict[str, float] = {}
        for run in shown:
            for task in run.tasks:
                if task.status is Status.COMPLETED:
                    first[task.id] = min(run.answered, first.get(task.id, run.answered))
        for task_id, moment in first.items():
            late = [call for call in evidence.calls.get(task_id, ()) if call.begun > moment]
            if late:
                yield Finding(
                    Harm.CALL_AFTER_COMPLETED,
                    f"task {task_id} of {shown[0].sample} was shown COMPLETED and called {len(late)} times "
                    f"afterwards, first {late[0].begun - moment:.2f} s later",
                )


def find_repeated_calls(evidence: Evidence) -> Iterator[Finding]:
    """A task calls once, and once more only where a blow fell in between."""
    for task_id, calls in evidence.calls.items():
        run = evidence.last.get(calls[0].run_id)
        node_id = task_id.rpartition(".")[2]
        if run is not None and node_id in evidence.sample(run).calls_once and len(calls) > 1:
            yield Finding(
                Harm.REPEATED_CALL,
                f"task {task_id} of {run.sample} must be tried once at most and called {len(calls)} times",
            )
            continue
        for earlier, later in pairwise(calls):
            if not _has_blow_between(evidence, earlier, later):
                sample = "a run nobody saw" if run is None else run.sample
                yield Finding(
                    Harm.REPEATED_CALL,
                    f"task {task_id} of {sample} called {len(calls)} times, and no crash explains it",
                )
                break


def _has_blow_between(evidence: Evidence, earlier: Call, later: Call) -> bool:
    return any(
        blow.begun < later.begun and earlier.begun < blow.ended + UNDER_WAY_S for blow in evidence.blows
    )


def find_missing_calls(evidence: Evidence) -> Iterator[Finding]:
    """What a COMPLETED task says that it was answered, it was answered."""
    for run in evidence.last.values():
        for task in run.tasks:
            if task.node_id not in evidence.sample(run).calls or task.status is not Status.COMPLETED:
                continue
            calls = evidence.calls.get(task.id, ())
            if receipt_of(task.outputs) not in {call.receipt for call in calls}:
                yield Finding(Harm.MISSING_CALL, _told(run, task, len(calls)))


def _told(run: ShownRun, task: ShownTask, calls: int) -> str:
    receipt = receipt_of(task.outputs)
    return f"task {task.id} of {run.sample} is COMPLETED with receipt {receipt}, and none of its {calls} calls got that"


def receipt_of(outputs: Mapping[str, Any] | None) -> int | None:
    """The receipt that a node which calls puts out; None where there is none."""
    answer = (outputs or {}).get("json")
    return answer.get("receipt") if isinstance(answer, Mapping) else None


def find_starts_after_cancel(evidence: Evidence) -> Iterator[Finding]:
    """Once a cancel has been answered, nothing below it calls anybody."""
    for run_id, cancels in evidence.cancels.items():
        moments = [cancel.answered for cancel in cancels if cancel.is_taken]
        if not moments:
            continue
        for one in evidence.below(run_id):
            late = [
                call for call in evidence.calls_of.get(one, ()) if call.begun > min(moments) + UNDER_WAY_S
            ]
            if late:
                yield Finding(
                    Harm.START_AFTER_CANCEL,
                    f"task {late[0].task_id} called {late[0].begun - min(moments):.2f} s after the cancel of run "
                    f"{run_id} was answered",
                )
