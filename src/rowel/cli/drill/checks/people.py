"""Whether pauses stay, and what people said about them counts: once, and as they said it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rowel.cli.drill.evidence import Evidence, in_order
from rowel.cli.drill.harms import Finding, Harm
from rowel.cli.drill.history import Decision, ShownPause, ShownPauses, ShownTask
from rowel.client.words import Action, Status


def find_lost_pauses(evidence: Evidence) -> Iterator[Finding]:
    """A pause that was shown stays as it was asked, and its answer as it was given."""
    for shown in evidence.pauses.values():
        known: dict[str, ShownPause] = {}
        for news, pauses in in_order(shown):
            for pause in (pause for earlier in news for pause in earlier.pauses):
                if pause.id not in known or known[pause.id].action is None:
                    known[pause.id] = pause
            found = list(_changed(pauses, known))
            yield from found
            if found:
                break


def _changed(shown: ShownPauses, known: dict[str, ShownPause]) -> Iterator[Finding]:
    now = {pause.id: pause for pause in shown.pauses}
    for pause_id, before in known.items():
        after, where = now.get(pause_id), f"the pause of node {before.node_id} of run {shown.run_id}"
        if after is None:
            yield Finding(Harm.LOST_PAUSE, f"{where} was shown and is gone")
        elif _question(after) != _question(before):
            yield Finding(
                Harm.LOST_PAUSE, f"{where} was {_question(before)} and is {_question(after)} afterwards"
            )
        elif before.action is not None and _reply(after) != _reply(before):
            yield Finding(
                Harm.LOST_DECISION,
                f"{where} was answered by {_reply(before)} and says {_reply(after)} afterwards",
            )


def _question(pause: ShownPause) -> tuple[object, ...]:
    return pause.node_id, pause.message, pause.time, pause.received


def _reply(pause: ShownPause) -> tuple[object, ...]:
    return pause.user_id, pause.action, pause.comments


def find_wrong_winners(evidence: Evidence) -> Iterator[Finding]:
    """Of all who answer a pause one wins, and it is one of them."""
    for (run_id, node_id), made in evidence.decisions.items():
        winners = sorted({decision.user_id for decision in made if decision.is_taken})
        where = f"the pause of node {node_id} of run {run_id}"
        if len(winners) > 1:
            yield Finding(
                Harm.WRONG_WINNER, f"{where} was answered by {len(winners)} at once: {', '.join(winners)}"
            )
    for run_id, shown in evidence.pauses.items():
        for node_id in {pause.node_id for pauses in shown for pause in pauses.pauses}:
            pause = evidence.pause(run_id, node_id)
            if pause is not None and pause.action is not None:
                yield from _check_winner(run_id, pause, evidence.decisions.get((run_id, node_id), ()))


def _check_winner(run_id: str, pause: ShownPause, made: Sequence[Decision]) -> Iterator[Finding]:
    own = [decision for decision in made if decision.user_id == pause.user_id]
    where = f"the pause of node {pause.node_id} of run {run_id}"
    if not own:
        yield Finding(Harm.WRONG_WINNER, f"{where} was answered by {pause.user_id}, who never did")
    elif not any(decision.may_have_landed for decision in own):
        yield Finding(
            Harm.WRONG_WINNER,
            f"{where} counts the answer of {pause.user_id}, who was refused with {own[0].status}",
        )


def find_lost_decisions(evidence: Evidence) -> Iterator[Finding]:
    """What was accepted is in the history, and the node's task is what it makes of it."""
    for (run_id, node_id), made in evidence.decisions.items():
        for decision in made:
            if decision.is_taken:
                yield from _check_decision(evidence, decision, evidence.pause(run_id, node_id))


def _check_decision(evidence: Evidence, decision: Decision, pause: ShownPause | None) -> Iterator[Finding]:
    who = f"{decision.action} by {decision.user_id} of node {decision.node_id} of run {decision.run_id}"
    if pause is None or pause.action is None:
        yield Finding(Harm.LOST_DECISION, f"{who} was accepted and is not in its history")
        return
    said = (decision.user_id, decision.action, decision.comments)
    if said != _reply(pause):
        yield Finding(Harm.LOST_DECISION, f"{who} was accepted, and the history says {_reply(pause)}")
        return
    run = evidence.last.get(decision.run_id)
    tasks = () if run is None else run.tasks
    task = next((task for task in tasks if task.node_id == decision.node_id), None)
    declinable = run is not None and decision.node_id in evidence.sample(run).declinable
    if task is None or not _is_applied(decision, pause, task, declinable=declinable):
        how = "is nowhere" if task is None else f"is {task.status} with {task.outputs}"
        yield Finding(
            Harm.LOST_DECISION, f"{who} was accepted with {dict(decision.inputs)}, and its task {how}"
        )


def _is_applied(decision: Decision, pause: ShownPause, task: ShownTask, *, declinable: bool) -> bool:
    if decision.action is Action.DECLINE and not declinable:
        return task.status is Status.CANCELED
    received = {} if decision.action is Action.OVERRIDE else dict(pause.received or {})
    return task.status is Status.COMPLETED and task.outputs == {**received, **decision.inputs}
