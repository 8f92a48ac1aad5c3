"""Ways to spoil a lawful history, each in one place, each with the harm that it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random
from typing import Any

from rowel.cli.drill.checks.ends import EDITION
from rowel.cli.drill.evidence import Evidence
from rowel.cli.drill.harms import Harm
from rowel.cli.drill.history import Blow, Call, History, ShownPause, ShownRun, ShownTask, Start
from rowel.client.words import Action, Status

Corruption = Callable[[History, Random], None]

#: By name: the harm, and what does it.
CORRUPTIONS: dict[str, tuple[Harm, Corruption]] = {}

LATE = 2000.0


def harms(harm: Harm) -> Callable[[Corruption], Corruption]:
    def enter(corruption: Corruption) -> Corruption:
        CORRUPTIONS[corruption.__name__] = (harm, corruption)
        return corruption

    return enter


def last_of(history: History, sample: str, status: Status, dice: Random) -> ShownRun:
    """Some run of a sample as it was last seen; not a row, not a child."""
    last = Evidence(history).last.values()
    return dice.choice(
        [run for run in last if (run.sample, run.status, run.parent_id) == (sample, status, None)]
    )


def show_later(history: History, run: ShownRun, **changes: Any) -> None:
    history.runs = [*history.runs, replace(run, asked=LATE, answered=LATE + 1, **changes)]


def with_task(run: ShownRun, node_id: str, **changes: Any) -> tuple[ShownTask, ...]:
    return tuple(replace(task, **changes) if task.node_id == node_id else task for task in run.tasks)


def change_runs(history: History, run_id: str, change: Callable[[ShownRun], ShownRun]) -> None:
    """Have every answer about a run say something else."""
    history.runs = [change(run) if run.id == run_id else run for run in history.runs]


def acknowledged(history: History, dice: Random) -> Start:
    return dice.choice([start for start in history.starts if start.is_taken and not start.order.rows])


@harms(Harm.LOST_RUN)
def an_acknowledged_run_is_gone(history: History, dice: Random) -> None:
    lost = acknowledged(history, dice).run_id
    history.listed = [run_id for run_id in history.listed if run_id != lost]


@harms(Harm.LOST_RUN)
def a_run_that_was_only_shown_is_gone(history: History, dice: Random) -> None:
    child = dice.choice([run for run in history.runs if run.parent_id is not None])
    history.listed = [run_id for run_id in history.listed if run_id != child.id]


@harms(Harm.LOST_RUN)
def a_run_that_was_answered_with_outputs_is_gone(history: History, dice: Random) -> None:
    start = acknowledged(history, dice)
    gone = {run.id for run in history.runs if run.key == start.order.key}
    history.starts = [
        replace(one, run_id=None, waited=True) if one is start else one for one in history.starts
    ]
    history.listed = [run_id for run_id in history.listed if run_id not in gone]
    history.runs = [run for run in history.runs if run.id not in gone]


@harms(Harm.UNFINISHED_RUN)
def a_run_never_ends(history: History, dice: Random) -> None:
    run = last_of(history, "chain", Status.COMPLETED, dice)
    history.runs = [one for one in history.runs if one.id != run.id or not one.status.is_final]
    show_later(history, run, status=Status.RUNNING)


@harms(Harm.UNFINISHED_RUN)
def a_run_waits_though_everybody_has_answered(history: History, dice: Random) -> None:
    run = last_of(history, "approval", Status.COMPLETED, dice)
    show_later(history, run, status=Status.PAUSED)


@harms(Harm.WRONG_END)
def a_run_fails_that_can_not(history: History, dice: Random) -> None:
    run = last_of(history, "chain", Status.COMPLETED, dice)
    change_runs(
        history, run.id, lambda one: replace(one, status=Status.FAILED) if one.status.is_final else one
    )


@harms(Harm.WRONG_END)
def a_run_is_canceled_by_nobody(history: History, dice: Random) -> None:
    run = last_of(history, "chain", Status.COMPLETED, dice)
    change_runs(
        history, run.id, lambda one: replace(one, status=Status.CANCELED) if one.status.is_final else one
    )


@harms(Harm.WRONG_END)
def a_declined_run_is_completed(history: History, dice: Random) -> None:
    declined = dice.choice(
        [made for made in history.decisions if made.action is Action.DECLINE and made.node_id == "agree"]
    )
    change_runs(
        history,
        declined.run_id,
        lambda one: replace(one, status=Status.COMPLETED) if one.status.is_final else one,
    )


@harms(Harm.CALL_AFTER_COMPLETED)
def a_completed_task_calls_again(history: History, dice: Random) -> None:
    run = last_of(history, "chain", Status.COMPLETED, dice)
    task = dice.choice([task for task in run.tasks if task.node_id in "abc"])
    history.calls = [*history.calls, Call(task_id=task.id, receipt=10**6, begun=LATE, ended=LATE)]


def _single_call(history: History, dice: Random, node_id: str) -> Call:
    """The call of a task that called once and was answered."""
    calls = Evidence(history).calls
    return dice.choice(
        [
            calls[task_id][0]
            for task_id in calls
            if task_id.endswith(f".{node_id}") and len(calls[task_id]) == 1 and calls[task_id][0].ended
        ]
    )


@harms(Harm.REPEATED_CALL)
def a_task_calls_twice_and_no_kill_explains_it(history: History, dice: Random) -> None:
    call = _single_call(history, dice, "a")
    history.calls = [*history.calls, replace(call, receipt=10**6, begun=call.begun + 0.01)]
    history.faults = [fault for fault in history.faults if abs(fault.begun - call.begun) > 2]


@harms(Harm.REPEATED_CALL)
def a_task_that_must_not_be_tried_again_is(history: History, dice: Random) -> None:
    call = Evidence(history).calls[
        dice.choice([call.task_id for call in history.calls if call.task_id.endswith(".only_once")])
    ][0]
    kill = next(fault for fault in history.faults if fault.begun > call.begun)
    history.calls = [*history.calls, replace(call, receipt=10**6, begun=kill.begun + 2)]


@harms(Harm.MISSING_CALL)
def a_completed_task_never_called(history: History, dice: Random) -> None:
    gone = _single_call(history, dice, "c").task_id
    history.calls = [call for call in history.calls if call.task_id != gone]


@harms(Harm.MISSING_CALL)
def a_completed_task_has_a_receipt_that_nobody_gave(history: History, dice: Random) -> None:
    call = _single_call(history, dice, "c")
    history.calls = [replace(one, receipt=10**6) if one is call else one for one in history.calls]


@harms(Harm.REPEATED_RUN)
def a_start_becomes_two_runs(history: History, dice: Random) -> None:
    run = last_of(history, "chain", Status.COMPLETED, dice)
    show_later(history, run, id="twin", tasks=())
    history.listed = [*history.listed, "twin"]


@harms(Harm.REPEATED_RUN)
def a_child_is_started_twice(history: History, dice: Random) -> None:
    child = next(run for run in history.runs if run.parent_id is not None and run.row_index is None)
    show_later(history, child, id="twin", tasks=(), status=Status.COMPLETED)
    history.listed = [*history.listed, "twin"]


def _change_last_pauses(
    history: History, dice: Random, wanted: Callable[[ShownPause], bool], *changed: dict[str, Any]
) -> None:
    """Have the newest answer about some run's pauses say something else of one of them (or not name it)."""
    shown = Evidence(history).pauses.values()
    newest = [max(answers, key=lambda one: one.answered) for answers in shown]
    target = dice.choice([one for one in newest if any(map(wanted, one.pauses))])
    pause = dice.choice([pause for pause in target.pauses if wanted(pause)])
    said = [replace(pause, **changes) for changes in changed]
    others = [one for one in target.pauses if one is not pause]
    later = replace(target, asked=LATE, answered=LATE + 1, pauses=(*others, *said))
    history.pauses = [*history.pauses, later]


@harms(Harm.LOST_PAUSE)
def a_pause_is_gone(history: History, dice: Random) -> None:
    _change_last_pauses(history, dice, lambda pause: True)


@harms(Harm.LOST_PAUSE)
def a_pause_asks_something_else(history: History, dice: Random) -> None:
    changes = dice.choice([{"message": "What?"}, {"time": "later"}, {"received": {}}])
    _change_last_pauses(history, dice, lambda pause: True, changes)


@harms(Harm.LOST_DECISION)
def an_answered_pause_waits_again(history: History, dice: Random) -> None:
    _change_last_pauses(
        history, dice, lambda pause: pause.action is not None, {"action": None, "user_id": None}
    )


@harms(Harm.LOST_DECISION)
def an_answered_pause_says_another_comment(history: History, dice: Random) -> None:
    _change_last_pauses(history, dice, lambda pause: pause.action is not None, {"comments": "Never said."})


@harms(Harm.LOST_DECISION)
def an_accepted_decision_is_not_applied(history: History, dice: Random) -> None:
    made = dice.choice([made for made in history.decisions if made.is_taken])
    lost = {"outputs": {"by": "somebody"}, "status": Status.COMPLETED}
    change_runs(history, made.run_id, lambda run: replace(run, tasks=with_task(run, made.node_id, **lost)))


@harms(Harm.UNDONE_CANCEL)
def a_canceled_run_completes(history: History, dice: Random) -> None:
    canceled = dice.choice([cancel.run_id for cancel in history.cancels])
    change_runs(
        history,
        canceled,
        lambda one: replace(one, status=Status.COMPLETED) if one.status.is_final else one,
    )


def _change_file(history: History, change: Callable[[list[Any]], list[Any]]) -> None:
    (file,) = history.files
    history.files = [replace(file, lines=tuple(change(list(file.lines))))]


@harms(Harm.LOST_ROW)
def a_row_is_not_in_the_file(history: History, dice: Random) -> None:
    index = dice.randrange(6)
    _change_file(history, lambda lines: [*lines[:index], *lines[index + 1 :]])


@harms(Harm.LOST_ROW)
def the_file_is_gone(history: History, dice: Random) -> None:
    history.files = []


@harms(Harm.LOST_ROW)
def a_row_has_no_run(history: History, dice: Random) -> None:
    gone = dice.choice([run.id for run in history.runs if run.row_index is not None])
    history.runs = [run for run in history.runs if run.id != gone]


@harms(Harm.REPEATED_ROW)
def a_row_is_in_the_file_twice(history: History, dice: Random) -> None:
    index = dice.randrange(6)
    _change_file(history, lambda lines: [*lines[: index + 1], *lines[index:]])


@harms(Harm.REPEATED_ROW)
def a_row_has_two_runs(history: History, dice: Random) -> None:
    row = dice.choice([run for run in history.runs if run.row_index is not None])
    show_later(history, row, id="twin", tasks=())


@harms(Harm.ROW_OUT_OF_ORDER)
def two_rows_change_places(history: History, dice: Random) -> None:
    index = dice.randrange(5)
    _change_file(
        history,
        lambda lines: [*lines[:index], lines[index + 1], lines[index], *lines[index + 2 :]],
    )


@harms(Harm.WRONG_ROW)
def a_line_says_something_else_than_its_run(history: History, dice: Random) -> None:
    def change(lines: list[Any]) -> list[Any]:
        index = dice.choice([0, 1, 3, 4, 5])
        lines[index] = {**lines[index], "book": {"status": 500}}
        return lines

    _change_file(history, change)


@harms(Harm.WRONG_ROW)
def a_failed_row_is_no_error_record(history: History, dice: Random) -> None:
    def change(lines: list[Any]) -> list[Any]:
        (row,) = {run.key for run in history.runs if run.row_index == 2}
        lines[2] = {"input_node": {"key": row, "wish": "ok"}}
        return lines

    _change_file(history, change)


@harms(Harm.WRONG_COUNT)
def the_counts_are_one_off(history: History, dice: Random) -> None:
    (file,) = history.files
    name = dice.choice(["total", "completed", "failed"])
    history.files = [replace(file, **{name: getattr(file, name) + dice.choice((-1, 1))})]


@harms(Harm.BREAKDOWN)
def the_server_answers_500(history: History, dice: Random) -> None:
    history.breakdowns = [("a look", 500)]


@harms(Harm.GHOST_RUN)
def a_refused_start_runs(history: History, dice: Random) -> None:
    key = acknowledged(history, dice).order.key
    history.starts = [replace(one, status=422) if one.order.key == key else one for one in history.starts]


@harms(Harm.SLOW_DRAIN)
def a_shutdown_takes_too_long(history: History, dice: Random) -> None:
    _change_shutdown(history, ended=600.0)


@harms(Harm.SLOW_DRAIN)
def a_shutdown_ends_badly(history: History, dice: Random) -> None:
    _change_shutdown(history, code=1)


def _change_shutdown(history: History, **changes: Any) -> None:
    history.faults = [
        replace(fault, **changes) if fault.blow is Blow.TERMINATE else fault for fault in history.faults
    ]


@harms(Harm.OTHER_VERSION)
def a_run_shows_another_version(history: History, dice: Random) -> None:
    run = last_of(history, "chain", Status.COMPLETED, dice)
    show_later(history, run, version=9, edition=9)


@harms(Harm.OTHER_VERSION)
def a_run_executes_another_version_than_it_shows(history: History, dice: Random) -> None:
    run = last_of(history, "chain", Status.COMPLETED, dice)
    outputs = {EDITION: 9}
    change_runs(history, run.id, lambda one: replace(one, tasks=with_task(one, EDITION, outputs=outputs)))


@harms(Harm.CHANGED_END)
def an_ended_run_ends_otherwise(history: History, dice: Random) -> None:
    run = last_of(history, "once", dice.choice(_ends_of(history, "once")), dice)
    other = {Status.COMPLETED: Status.FAILED, Status.FAILED: Status.COMPLETED}
    show_later(history, run, status=other[run.status])


def _ends_of(history: History, sample: str) -> list[Status]:
    return sorted({run.status for run in Evidence(history).last.values() if run.sample == sample})


@harms(Harm.CHANGED_END)
def a_completed_task_has_other_outputs(history: History, dice: Random) -> None:
    run = last_of(history, "chain", Status.COMPLETED, dice)
    show_later(history, run, tasks=with_task(run, "a", outputs={}))


@harms(Harm.CHANGED_END)
def a_completed_task_runs_again(history: History, dice: Random) -> None:
    run = last_of(history, "chain", Status.COMPLETED, dice)
    show_later(history, run, tasks=with_task(run, "a", status=Status.RUNNING))


@harms(Harm.CHANGED_END)
def a_completed_task_is_gone(history: History, dice: Random) -> None:
    run = last_of(history, "chain", Status.COMPLETED, dice)
    show_later(history, run, tasks=run.tasks[:-1])


@harms(Harm.CHANGED_END)
def a_run_that_was_answered_with_its_outputs_fails(history: History, dice: Random) -> None:
    start = dice.choice([start for start in history.starts if start.order.sample == "chain"])
    waited = replace(start, status=200, run_id=None, waited=True)
    history.starts = [waited if one is start else one for one in history.starts]
    history.runs = [
        replace(run, status=Status.FAILED) if run.key == start.order.key and run.status.is_final else run
        for run in history.runs
    ]


@harms(Harm.WENT_BACK)
def a_percentage_goes_back(history: History, dice: Random) -> None:
    run = last_of(history, "chain", Status.COMPLETED, dice)
    show_later(history, run, percentage=run.percentage - 0.5)


def _won(history: History, dice: Random) -> Any:
    return dice.choice([made for made in history.decisions if made.is_taken])


def _change_decisions(history: History, chosen: Iterable[Any], **changes: Any) -> None:
    ids = {id(made) for made in chosen}
    history.decisions = [replace(made, **changes) if id(made) in ids else made for made in history.decisions]


@harms(Harm.WRONG_WINNER)
def two_win(history: History, dice: Random) -> None:
    won = _won(history, dice)
    others = [
        made
        for made in history.decisions
        if (made.run_id, made.node_id) == (won.run_id, won.node_id) and made is not won
    ]
    _change_decisions(history, [dice.choice(others)], status=200)


@harms(Harm.LOST_RUN)
def a_start_that_was_sent_again_is_answered_with_another_run(history: History, dice: Random) -> None:
    start = acknowledged(history, dice)
    history.starts = [*history.starts, replace(start, run_id="another")]


@harms(Harm.WRONG_WINNER)
def a_refused_decision_counts(history: History, dice: Random) -> None:
    _change_decisions(history, [_won(history, dice)], status=409)


@harms(Harm.WRONG_WINNER)
def somebody_wins_who_never_answered(history: History, dice: Random) -> None:
    won = _won(history, dice)
    history.decisions = [made for made in history.decisions if made is not won]


@harms(Harm.START_AFTER_CANCEL)
def a_canceled_run_calls(history: History, dice: Random) -> None:
    cancel = dice.choice(list(history.cancels))
    begun = cancel.answered + dice.uniform(1, 20)
    history.calls = [*history.calls, Call(task_id=f"{cancel.run_id}.c", receipt=10**6, begun=begun)]
