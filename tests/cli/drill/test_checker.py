"""The checker passes a history that keeps every promise, and finds each single thing that breaks one."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.cli.drill.checker import judge
from rowel.cli.drill.harms import Harm
from rowel.cli.drill.history import Call, Cancel, History
from rowel.client.words import Status
from tests.support.corruptions import CORRUPTIONS, last_of
from tests.support.histories import lawful

seeds = st.integers(0, 2**32)


@given(seeds)
def test_a_lawful_history_passes(seed: int) -> None:
    assert judge(lawful(seed)) == []


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_single_corruption_is_found(name: str) -> None:
    harm, corrupt = CORRUPTIONS[name]
    for seed in range(20):
        history = lawful(seed)
        corrupt(history, Random(seed))
        found = judge(history)
        assert harm in {violation.harm for violation in found}, f"seed {seed}: {[*map(str, found)]}"


def test_every_harm_has_a_corruption_that_does_it() -> None:
    assert {harm for harm, _ in CORRUPTIONS.values()} == set(Harm)


@given(seeds)
def test_the_order_in_which_things_were_noted_does_not_matter(seed: int) -> None:
    history = lawful(seed)
    _, corrupt = CORRUPTIONS["a_completed_task_calls_again"]
    corrupt(history, Random(seed))
    dice = Random(seed)
    shuffled = replace(
        history,
        **{name: dice.sample(list(getattr(history, name)), len(getattr(history, name))) for name in LISTS},
    )
    assert {*map(str, judge(shuffled))} == {*map(str, judge(history))}


LISTS = ("starts", "decisions", "cancels", "runs", "pauses", "files", "calls", "faults", "listed")


def test_a_violation_names_the_promise_the_run_the_node_and_the_seed() -> None:
    history = lawful(7)
    run = last_of(history, "chain", Status.COMPLETED, Random(7))
    history.calls = [*history.calls, Call(task_id=f"{run.id}.b", receipt=10**6, begun=2000.0)]
    told = [str(violation) for violation in judge(history)]
    assert f"D2 is broken: task {run.id}.b of chain was shown COMPLETED and called 1 times" in told[0]
    assert told[0].endswith("(seed 7)")


def test_nothing_that_happened_says_nothing() -> None:
    assert judge(History(seed=1)) == []


@given(seeds)
def test_what_one_answer_said_binds_only_those_that_were_asked_for_afterwards(seed: int) -> None:
    history = lawful(seed)
    run = last_of(history, "chain", Status.COMPLETED, Random(seed))
    slow = replace(run, asked=0.0, answered=3000.0, status=Status.RUNNING, percentage=0.0, tasks=())
    history.runs = [*history.runs, slow, replace(run, asked=4000.0, answered=4001.0)]
    assert judge(history) == []


def test_a_call_that_was_under_way_may_arrive_as_a_cancel_is_answered() -> None:
    history = lawful(3)
    cancel = history.cancels[0]
    late = Call(task_id=f"{cancel.run_id}.c", receipt=10**6, begun=cancel.answered + 0.1)
    history.calls = [*history.calls, late]
    assert judge(history) == []


def test_what_a_canceled_run_owns_may_not_call_either() -> None:
    history = lawful(3)
    child = next(run for run in history.runs if run.parent_id is not None and run.row_index is None)
    assert child.parent_id is not None
    history.cancels = [
        *history.cancels, Cancel(asked=0.0, answered=0.1, status=200, run_id=child.parent_id)
    ]  # fmt: skip
    assert f"task {child.id}.a called" in " ".join(map(str, judge(history)))


def test_a_shutdown_explains_no_second_call() -> None:
    history = lawful(3)
    calls = [Call(task_id="x.a", receipt=1, begun=499.9), Call(task_id="x.a", receipt=2, begun=502.0)]
    history.calls = [*history.calls, *calls]
    assert [violation.harm for violation in judge(history)] == [Harm.REPEATED_CALL]
