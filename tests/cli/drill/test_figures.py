"""Many histories in a few numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

from rowel.cli.drill.campaign import Result
from rowel.cli.drill.checker import judge
from rowel.cli.drill.drill import Stage
from rowel.cli.drill.figures import Figures, spread
from rowel.cli.drill.harms import Harm
from rowel.cli.drill.history import Blow, Call, Fault, History
from rowel.cli.drill.table import line_of, show
from rowel.cli.looks import console
from tests.support.corruptions import CORRUPTIONS
from tests.support.histories import lawful


def figures_of(*histories: History) -> Figures:
    figures = Figures()
    for history in histories:
        figures.add(history, judge(history))
    return figures


def test_figures_add_up_over_drills() -> None:
    one, two = lawful(1), lawful(2)
    together, first, second = figures_of(one, two), figures_of(one), figures_of(two)
    assert together.drills == 2
    for name in ("kills", "runs", "ended", "acknowledged", "rows", "decisions", "interrupted"):
        assert getattr(together, name) == getattr(first, name) + getattr(second, name), name
    assert together.tries == first.tries + second.tries


def test_what_is_counted_is_what_is_there() -> None:
    history = lawful(1)
    figures = figures_of(history)
    assert figures.runs == len(history.listed)
    assert figures.ended == figures.runs - 1
    assert figures.rows == 6
    assert figures.acknowledged == sum(start.status == 200 for start in history.starts)
    assert figures.tries.total() == len({call.task_id for call in history.calls})
    assert figures.harms == Counter()


def test_a_retry_is_measured_from_the_kill_that_made_it_necessary() -> None:
    kill = Fault(blow=Blow.KILL, begun=10.0, ended=10.1, ready=12.0, code=-9)
    calls = [
        Call(task_id="run.a", receipt=1, begun=9.9),
        Call(task_id="run.a", receipt=2, begun=12.5, ended=13.0),
    ]
    figures = figures_of(History(seed=1, calls=calls, faults=[kill]))
    assert figures.retried_s == [2.5]
    assert [round(seconds, 3) for seconds in figures.ready_s] == [1.9]
    assert figures.tries == Counter({2: 1})
    assert figures.interrupted == 1


def test_a_spread_tells_the_middle_and_the_worst() -> None:
    assert spread([3.0, 1.0, 2.0]) == "2.00 s, at most 3.00 s"
    assert spread([]) == "none"


def shown(history: History) -> str:
    violations = judge(history)
    result = Result(figures_of(history), violations, [], took_s=61.0)
    with console.capture() as captured:
        show(result)
    return captured.get()


def test_a_table_counts_every_harm_and_says_that_all_is_well() -> None:
    told = shown(lawful(1))
    for harm in Harm:
        assert harm.label in told
    assert "Nothing was lost" in told
    assert "broken" not in told.replace("answers of a broken server", "")


def test_a_table_tells_what_was_broken() -> None:
    history = lawful(1)
    CORRUPTIONS["a_row_is_not_in_the_file"][1](history, Random(1))
    told = shown(history)
    assert "D7 is broken: row " in told
    assert "(seed 1)" in told
    assert "Nothing was lost" not in told


def test_a_stage_is_one_line() -> None:
    stage = Stage(2, 5, 30, 400)
    assert line_of(stage) == "kill 2 of 5, 30 starts acknowledged, 400 calls made"
    assert line_of(replace(stage, is_settling=True)).startswith("waiting for the last runs to end")
