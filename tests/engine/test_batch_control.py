"""Canaries, thresholds and changes on the way: what may begin, and how the batch ends."""

import asyncio
from itertools import count

import pytest

import rowel.engine.batch
from rowel.core.errors import Conflict, InvalidInputs, NodeFailed, NotFound
from rowel.core.outcomes import Usage
from rowel.core.status import PauseAction, RunStatus
from rowel.engine.canaries import NODE_ID
from rowel.store.runs import Filter
from tests.support.flows import child, flow, given, human, output, router, work
from tests.support.house import Fuse, all_of, rested, save, still, text_of, upload

APPROVE, DECLINE, OVERRIDE = PauseAction.APPROVE, PauseAction.DECLINE, PauseAction.OVERRIDE
PLAIN = flow("start>a", start=given(n="int"))


@pytest.fixture(params=["house", "postgres_house"], ids=["sqlite", "postgres"])
def house(request):
    """A data directory on either database."""
    return request.getfixturevalue(request.param)


@pytest.fixture
async def engine(house):
    return await house.open()


def numbers(count):
    return "n\n" + "".join(f"{n}\n" for n in range(count))


def fails(*rows):
    """An act that fails for these rows."""
    return lambda inputs, context: NodeFailed("no") if inputs["start"]["n"] in rows else {"x": 1}


async def started(engine, definition=PLAIN, rows=10, window=3, **wish):
    dataset = await upload(engine, numbers(rows) if isinstance(rows, int) else rows)
    return await engine.start_batch(await save(engine, definition), dataset.id, window, **wish)


async def ran(engine, *arguments, **wish):
    return await rested(engine, (await started(engine, *arguments, **wish)).run.id)


async def begun(engine, batch):
    found = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=1000)
    return sorted(view.run.row_index for view in found)


def counts_of(standing):
    batch = standing.batch
    counts = (batch.queued, batch.running, batch.completed, batch.failed, batch.canceled, batch.paused)
    assert sum(counts) == batch.total
    assert min(counts) >= 0
    return dict(zip(("queued", "running", "completed", "failed", "canceled", "paused"), counts, strict=True))


async def test_the_canary_is_tried_and_then_a_person_is_asked(engine, stage):
    stage.on("a", fails(1))

    batch = await ran(engine, canary=4)

    assert batch.run.status is RunStatus.PAUSED
    assert batch.run.end_time is None
    assert await begun(engine, batch) == [0, 1, 2, 3]
    ((view, pause),) = await engine.paused(limit=10)
    assert (view.run.id, pause.node_id, pause.is_open) == (batch.run.id, NODE_ID, True)
    assert pause.message.startswith("The first 4 of 10 rows have been tried: 3 completed, 1 failed.")
    assert pause.input_data["tried"] == 4
    standing = await engine.get_batch(batch.run.id)
    assert counts_of(standing) | {"queued": 6} == counts_of(standing)
    assert (standing.rows_per_s, standing.eta_s) == (None, None)


@pytest.mark.parametrize("action", [APPROVE, OVERRIDE])
async def test_an_approved_batch_runs_the_others(engine, stage, action):
    batch = await ran(engine, canary=4)

    answer = await engine.decide(batch.run.id, action, {"seen": 4}, "ann", "fine", node_id=NODE_ID)
    end = await rested(engine, batch.run.id)

    assert answer.run.message.endswith("by ann: fine")
    assert end.run.status is RunStatus.COMPLETED
    assert await begun(engine, batch) == list(range(10))
    assert set(stage.counts.values()) == {1}
    (pause,) = await engine.pause_history(batch.run.id)
    assert (pause.resume_action, pause.resume_user_id, pause.resume_inputs) == (action, "ann", {"seen": 4})
    assert await engine.paused(limit=10) == []
    told = [
        event.body["status"] for event in await all_of(engine.events(batch.run.id)) if event.kind == "run"
    ]
    assert told == ["PENDING", "RUNNING", "PAUSED", "RUNNING", "COMPLETED"]


async def test_a_declined_batch_is_canceled_with_its_open_rows(engine, stage):
    asks = flow("start>ask ask>a", start=given(n="int"), ask=human())
    batch = await ran(engine, asks, canary=4)

    answer = await engine.decide(batch.run.id, DECLINE, {}, "ann", "bad")

    assert answer.run.status is RunStatus.CANCELED
    assert answer.run.message == "The rest of the batch was declined by ann: bad"
    assert (answer.batch.canceled, answer.percentage_complete) == (10, 100)
    found = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=100)
    assert {view.run.status for view in found} == {RunStatus.CANCELED}
    assert await engine.paused(limit=10) == []
    (pause,) = await engine.pause_history(batch.run.id)
    assert pause.resume_action is DECLINE
    with pytest.raises(Conflict, match="declined by ann"):
        await engine.decide(batch.run.id, APPROVE, {}, "bob")


async def test_of_those_who_decide_about_the_rest_at_once_one_wins(engine, stage):
    batch = await ran(engine, canary=2)

    actions = [APPROVE, DECLINE, OVERRIDE, DECLINE, APPROVE, DECLINE]
    answers = await asyncio.gather(
        *(engine.decide(batch.run.id, action, {}, f"user-{n}") for n, action in enumerate(actions)),
        return_exceptions=True,
    )
    end = await rested(engine, batch.run.id)

    (winner,) = [n for n, answer in enumerate(answers) if not isinstance(answer, Exception)]
    assert all(isinstance(answer, Conflict) for n, answer in enumerate(answers) if n != winner)
    (pause,) = await engine.pause_history(batch.run.id)
    assert (pause.resume_user_id, pause.resume_action) == (f"user-{winner}", actions[winner])
    assert (end.run.status is RunStatus.CANCELED) == (actions[winner] is DECLINE)


async def test_rows_of_the_canary_may_wait_for_people(engine, stage):
    definition = flow(
        "start>route route.odd>ask start>a",
        start=given(n="int"),
        route=router(odd=("start.n", 1)),
        ask=human(),
    )
    batch = await ran(engine, definition, canary=3)
    assert batch.run.status is RunStatus.PAUSED
    waiting = {view.run.row_index: view.run.id for view, _ in await engine.paused(limit=10)}
    assert set(waiting) == {None, 1}

    await engine.decide(waiting[1], APPROVE, {}, "ann")
    again = await rested(engine, batch.run.id)
    assert again.run.status is RunStatus.PAUSED
    assert await begun(engine, batch) == [0, 1, 2]
    assert len(await engine.pause_history(batch.run.id)) == 1
    await engine.decide(batch.run.id, APPROVE, {}, "ann")

    assert (await rested(engine, batch.run.id)).run.status is RunStatus.COMPLETED


async def test_a_canary_of_all_rows_asks_nobody(engine, stage):
    batch = await ran(engine, canary=10)

    assert batch.run.status is RunStatus.COMPLETED
    assert await engine.pause_history(batch.run.id) == []


async def test_a_batch_has_no_node_but_its_own_pause(engine, stage):
    batch = await ran(engine, canary=2)

    with pytest.raises(NotFound, match="'a'"):
        await engine.decide(batch.run.id, APPROVE, {}, "ann", node_id="a")


async def test_a_batch_that_waits_for_approval_can_be_canceled(engine, stage):
    batch = await ran(engine, canary=2)

    end = await engine.cancel(batch.run.id)

    assert end.run.status is RunStatus.CANCELED
    assert await engine.paused(limit=10) == []


@pytest.mark.parametrize("lands", [True, False], ids=["landed", "lost"])
async def test_no_crash_lets_more_rows_begin_than_the_canary(house, stage, lands):
    engine = await house.open()
    for groups in count(1, 2):
        batch = await started(engine, rows=7, window=2, canary=3)
        fuse = Fuse(engine, groups, lands=lands)
        was_cut = await fuse.burn()
        if was_cut:
            engine = await house.restart(engine)
        paused = await rested(engine, batch.run.id)
        assert paused.run.status is RunStatus.PAUSED
        assert await begun(engine, batch) == [0, 1, 2]
        (pause,) = await engine.pause_history(batch.run.id)
        assert pause.is_open
        await engine.decide(batch.run.id, APPROVE, {}, "ann")
        assert (await rested(engine, batch.run.id)).batch.completed == 7
        if not was_cut:
            break
    assert groups > 5


@pytest.mark.parametrize("lands", [True, False], ids=["landed", "lost"])
@pytest.mark.parametrize("action", [APPROVE, DECLINE])
async def test_a_decision_about_the_rest_is_taken_whole_or_not_at_all(house, stage, action, lands):
    engine = await house.open()
    batch = await ran(engine, canary=2)
    fuse = Fuse(engine, 1, lands=lands)
    deciding = asyncio.ensure_future(engine.decide(batch.run.id, action, {}, "ann"))
    await fuse.blown()
    deciding.cancel()
    await asyncio.gather(deciding, return_exceptions=True)

    engine = await house.restart(engine)
    end = await rested(engine, batch.run.id)

    assert [pause.is_open for pause in await engine.pause_history(batch.run.id)] == [not lands]
    ends = {APPROVE: RunStatus.COMPLETED, DECLINE: RunStatus.CANCELED}
    assert end.run.status is (ends[action] if lands else RunStatus.PAUSED)


async def test_a_batch_ends_failed_when_more_rows_failed_than_may(engine, stage):
    stage.on("a", fails(2, 4, 5))

    batch = await ran(engine, rows=50, window=1, failure_threshold={"count": 2})

    assert batch.run.status is RunStatus.FAILED
    assert batch.run.message == (
        "The batch was ended: more than 2 rows failed (3 of 6); 44 rows were not begun."
    )
    assert await begun(engine, batch) == [0, 1, 2, 3, 4, 5]
    standing = await engine.get_batch(batch.run.id)
    assert counts_of(standing)["canceled"] == 44
    assert batch.percentage_complete == 100
    lines = (await text_of(engine, batch.run.output_file_id)).splitlines()
    assert len(lines) == 6


async def test_rows_in_flight_end_before_the_batch_fails(engine, stage):
    stage.hold("a")
    batch = await started(engine, rows=50, window=5, failure_threshold={"count": 0})
    await stage.begun("a", 5)
    stage.on("a", fails(0, 1, 2, 3))
    stage.let_go("a")

    end = await rested(engine, batch.run.id)

    assert end.run.status is RunStatus.FAILED
    assert await begun(engine, batch) == [0, 1, 2, 3, 4]
    assert (end.batch.completed, end.batch.failed, end.batch.canceled) == (1, 4, 45)


async def test_a_share_is_judged_once_enough_rows_have_ended(engine, stage):
    stage.on("a", fails(0, 1, 2))

    fine = await ran(engine, rows=40, window=1, failure_threshold={"percent": 10, "after": 40})
    many = await ran(engine, rows=40, window=1, failure_threshold={"percent": 10, "after": 20})

    assert fine.run.status is RunStatus.COMPLETED
    assert many.run.message == (
        "The batch was ended: more than 10 % of rows failed (3 of 20); 20 rows were not begun."
    )


async def test_too_many_failures_are_too_many_at_the_end_too(engine, stage):
    stage.on("a", fails(8, 9))

    batch = await ran(engine, rows=10, window=1, failure_threshold={"percent": 10})

    assert batch.run.message == "The batch was ended: more than 10 % of rows failed (2 of 10)."
    assert batch.run.status is RunStatus.FAILED


async def test_rows_that_wait_for_people_are_canceled_when_too_many_failed(engine, stage):
    definition = flow(
        "start>route route.one>ask start>a",
        start=given(n="int"),
        route=router(one=("start.n", 0)),
        ask=human(),
    )
    stage.on("a", fails(1, 2))

    batch = await ran(engine, definition, rows=10, window=1, failure_threshold={"count": 1})

    assert batch.run.status is RunStatus.FAILED
    assert (batch.batch.failed, batch.batch.canceled, batch.batch.paused) == (2, 8, 0)
    assert await engine.paused(limit=10) == []


async def test_a_canary_that_fails_too_often_asks_nobody(engine, stage):
    stage.on("a", fails(0, 1))

    batch = await ran(engine, canary=4, window=1, failure_threshold={"count": 1})

    assert batch.run.status is RunStatus.FAILED
    assert await engine.pause_history(batch.run.id) == []
    assert await begun(engine, batch) == [0, 1]


@pytest.mark.parametrize("lands", [True, False], ids=["landed", "lost"])
async def test_no_crash_lets_a_row_begin_once_too_many_have_failed(house, stage, lands):
    engine = await house.open()
    stage.on("a", fails(1, 3))
    for groups in count(1, 2):
        batch = await started(engine, rows=9, window=1, failure_threshold={"count": 1})
        was_cut = await Fuse(engine, groups, lands=lands).burn()
        if was_cut:
            engine = await house.restart(engine)
        end = await rested(engine, batch.run.id)
        assert (end.run.status, await begun(engine, batch)) == (RunStatus.FAILED, [0, 1, 2, 3])
        assert (end.batch.completed, end.batch.failed, end.batch.canceled) == (2, 2, 5)
        if not was_cut:
            break
    assert groups > 5


async def test_a_threshold_that_is_raised_in_time_lets_the_batch_go_on(engine, stage):
    stage.hold("a")
    batch = await started(engine, rows=20, window=2, failure_threshold={"count": 0})
    await stage.begun("a", 2)
    stage.on("a", fails(0))
    standing = await engine.adjust_batch(batch.run.id, failure_threshold={"count": 5})
    assert standing.batch.threshold.count == 5
    stage.let_go("a")

    end = await rested(engine, batch.run.id)

    assert (end.run.status, end.batch.failed) == (RunStatus.COMPLETED, 1)


async def test_a_threshold_that_is_set_on_the_way_ends_the_batch(engine, stage):
    stage.on("a", fails(*range(20)))
    stage.hold("a")
    batch = await started(engine, rows=200, window=2)
    await stage.begun("a", 2)
    await engine.adjust_batch(batch.run.id, failure_threshold={"count": 1})
    stage.let_go("a")

    end = await rested(engine, batch.run.id)

    assert end.run.status is RunStatus.FAILED
    assert await begun(engine, batch) == [0, 1]


async def test_a_threshold_can_be_lifted(engine, stage):
    stage.hold("a")
    batch = await started(engine, rows=6, window=1, failure_threshold={"count": 0})
    await stage.begun("a")
    stage.on("a", NodeFailed("no"))
    await engine.adjust_batch(batch.run.id, failure_threshold=None)
    stage.let_go("a")

    assert (await rested(engine, batch.run.id)).run.message == "0 of 6 rows completed, 6 failed."


async def test_a_window_grows_at_once(engine, stage):
    stage.hold("a")
    batch = await started(engine, rows=50, window=2)
    await stage.begun("a", 2)

    standing = await engine.adjust_batch(batch.run.id, mini_batch_size=7)

    async with asyncio.timeout(2):
        await stage.begun("a", 7)
    assert standing.batch.window == 7
    stage.let_go("a")
    await still(engine)
    assert stage.most == 7


async def test_a_window_shrinks_as_rows_end(engine, stage):
    stage.hold("a")
    batch = await started(engine, rows=50, window=8)
    await stage.begun("a", 8)

    await engine.adjust_batch(batch.run.id, mini_batch_size=2)
    stage.let_go("a")
    stage.most = 0
    await rested(engine, batch.run.id)

    assert stage.most <= 2
    assert stage.count("a") == 50


async def test_what_was_changed_outlives_a_crash(house, stage):
    engine = await house.open()
    stage.hold("a")
    batch = await started(engine, rows=20, window=2, column_map={"n": "n"})
    await stage.begun("a", 2)
    await engine.adjust_batch(batch.run.id, mini_batch_size=5, failure_threshold={"percent": 50})

    engine = await house.restart(engine)
    await stage.begun("a", 2 + 5)

    seen = (await engine.get_batch(batch.run.id)).batch
    assert (seen.window, seen.threshold.percent, seen.column_map) == (5, 50, {"n": "n"})
    stage.let_go("a")
    await still(engine)


async def test_an_ended_batch_cannot_be_changed(engine, stage):
    batch = await ran(engine, rows=1)

    with pytest.raises(Conflict, match="COMPLETED"):
        await engine.adjust_batch(batch.run.id, mini_batch_size=3)


async def test_a_batch_that_waits_for_people_can_be_changed_and_rests_again(engine, stage):
    batch = await ran(engine, canary=2)

    await engine.adjust_batch(batch.run.id, mini_batch_size=9)
    seen = await rested(engine, batch.run.id)

    assert (seen.run.status, seen.batch.window) == (RunStatus.PAUSED, 9)
    assert len(await engine.pause_history(batch.run.id)) == 1


async def test_what_makes_no_sense_changes_nothing(engine, stage):
    batch = await ran(engine, canary=2)

    with pytest.raises(InvalidInputs, match="mini_batch_size"):
        await engine.adjust_batch(batch.run.id, mini_batch_size=0, failure_threshold={"count": 1})
    with pytest.raises(InvalidInputs, match="percent"):
        await engine.adjust_batch(batch.run.id, mini_batch_size=5, failure_threshold={"percent": 101})

    seen = (await engine.get_batch(batch.run.id)).batch
    assert (seen.window, seen.threshold) == (3, None)


async def test_what_is_no_batch_has_no_standing(engine, stage):
    run = await engine.run(await save(engine, flow("start>a")), None)

    with pytest.raises(NotFound, match="is no batch"):
        await engine.get_batch(run.run.id)
    with pytest.raises(NotFound, match="is no batch"):
        await engine.adjust_batch(run.run.id, mini_batch_size=1)
    with pytest.raises(NotFound, match="no run 'made-up'"):
        await engine.get_batch("made-up")


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ({"canary": 0}, "canary"),
        ({"failure_threshold": {}}, "count nor percent"),
        ({"column_map": {"n": "m"}}, "no column 'm'"),
        ({"column_map": {"m": "n"}}, "no field 'm'"),
    ],
)
async def test_a_wish_that_makes_no_sense_starts_nothing(engine, wish, why):
    with pytest.raises(InvalidInputs, match=why):
        await started(engine, **wish)

    assert await engine.list_runs(Filter(), limit=10) == []
    assert await engine.list_output_files() == []


async def test_columns_fill_the_fields_they_are_mapped_to(engine):
    definition = flow("start>end", start=given(subject="string", n="int", body="string"))

    batch = await ran(
        engine, definition, "Betreff,n,Text\nhi,7,ho\n", column_map={"subject": "Betreff", "body": "Text"}
    )

    (row,) = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=10)
    assert row.run.initial_inputs == {"start": {"subject": "hi", "n": 7, "body": "ho"}}


async def test_one_column_may_fill_several_fields(engine):
    definition = flow("start>end", start=given(n="int", same="string"))

    batch = await ran(engine, definition, "n\n7\n", column_map={"same": "n"})

    (row,) = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=10)
    assert row.run.initial_inputs == {"start": {"n": 7, "same": "7"}}


async def test_without_a_schema_mapped_columns_are_renamed(engine):
    batch = await ran(engine, flow("start>end"), "a,b\n1,2\n", column_map={"x": "a"})

    (row,) = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=10)
    assert row.run.initial_inputs == {"start": {"x": "1", "b": "2"}}


async def test_a_mapped_field_that_is_required_is_given(engine):
    batch = await ran(
        engine, flow("start>end", start=given(name="string")), "who\nann\n", column_map={"name": "who"}
    )

    assert batch.run.status is RunStatus.COMPLETED


async def test_failures_are_counted_by_what_they_have_in_common(engine, stage):
    def act(inputs, context):
        n = inputs["start"]["n"]
        return {0: NodeFailed(f"no row {n}"), 1: NodeFailed(f"HTTP 50{n % 2}"), 2: {"x": n}}[n % 3]

    stage.on("a", act)
    batch = await ran(engine, rows=30, window=4)

    causes = (await engine.get_batch(batch.run.id)).causes

    assert {cause.signature: cause.count for cause in causes} == {
        "Node 'a' failed: no row #": 10,
        "Node 'a' failed: HTTP 500": 5,
        "Node 'a' failed: HTTP 501": 5,
    }
    assert causes[0].count == 10
    for cause in causes:
        row = await engine.get_run(cause.example_run_id)
        assert row.run.row_index == cause.example_row
        assert row.run.status is RunStatus.FAILED


async def test_tokens_and_cost_of_rows_are_added_up(engine, stage):
    def act(inputs, context):
        context.spend(Usage(input_tokens=10, output_tokens=inputs["start"]["n"], cost_usd=0.001, requests=1))
        return NodeFailed("no") if context.attempt < 2 and inputs["start"]["n"] == 3 else {"x": 1}

    stage.on("a", act)
    definition = flow("start>a", start=given(n="int"), a=work(retry={"attempts": 2, "backoff_s": 0}))
    batch = await ran(engine, definition, rows=5)

    standing = await engine.get_batch(batch.run.id)

    assert (standing.batch.input_tokens, standing.batch.output_tokens) == (60, 13)
    assert standing.tokens == 73
    assert standing.cost_usd == pytest.approx(0.006)


async def test_what_child_runs_spend_is_their_rows(engine, stage):
    stage.on("a", lambda inputs, context: context.spend(Usage(input_tokens=7, requests=1)) or {"x": 1})
    inner = await save(engine, flow("start>a a>end", end=output(x="a.x")))
    definition = flow("start>sub sub>end", start=given(n="int"), sub=child(inner))

    batch = await ran(engine, definition, rows=3)

    standing = await engine.get_batch(batch.run.id)
    assert (standing.tokens, standing.cost_usd) == (21, None)
    (row, *_) = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=1)
    assert next(task.usage for task in row.tasks if task.node_id == "sub").input_tokens == 7


async def test_a_batch_that_spends_nothing_costs_nothing(engine, stage):
    batch = await ran(engine, rows=2)

    standing = await engine.get_batch(batch.run.id)
    assert (standing.tokens, standing.cost_usd, standing.causes) == (0, 0.0, [])


@pytest.mark.parametrize("lands", [True, False], ids=["landed", "lost"])
async def test_each_failure_is_counted_once_wherever_the_batch_is_cut(house, stage, lands):
    engine = await house.open()
    stage.on("a", fails(0, 2))
    for groups in count(1, 3):
        batch = await started(engine, rows=5, window=2)
        was_cut = await Fuse(engine, groups, lands=lands).burn()
        if was_cut:
            engine = await house.restart(engine)
        await rested(engine, batch.run.id)
        (cause,) = (await engine.get_batch(batch.run.id)).causes
        assert cause.count == 2
        if not was_cut:
            break


async def test_counts_add_up_at_every_look(engine, stage, monkeypatch):
    monkeypatch.setattr(rowel.engine.batch, "PROGRESS_EACH_S", 0.0)
    definition = flow(
        "start>route route.one>ask start>a",
        start=given(n="int"),
        route=router(one=("start.n", 3)),
        ask=human(),
    )
    stage.on("a", fails(*range(0, 60, 7)))
    batch = await started(engine, definition, rows=60, window=5)

    looks = []
    async for event in engine.events(batch.run.id):
        looks.append(counts_of(await engine.get_batch(batch.run.id)))
        if event.kind == "run" and event.body["status"] == RunStatus.PAUSED:
            break

    assert looks[-1] == {"queued": 0, "running": 0, "completed": 50, "failed": 9, "canceled": 0, "paused": 1}
    assert all(look["running"] <= 5 for look in looks)


async def test_the_rate_is_that_of_the_last_half_minute(engine, stage, clock, monkeypatch):
    monkeypatch.setattr(rowel.engine.batch, "PROGRESS_EACH_S", 0.0)
    stage.hold("a")
    batch = await started(engine, rows=20, window=4)
    await stage.begun("a", 4)
    await clock.advance(10)
    stage.let_go("a")
    stage.hold("a")
    await stage.begun("a", 8)

    standing = await engine.get_batch(batch.run.id)

    assert (standing.rows_per_s, standing.eta_s) == (0.4, 40.0)
    stage.let_go("a")
    await still(engine)
    ended = await engine.get_batch(batch.run.id)
    assert (ended.rows_per_s, ended.eta_s) == (2.0, 0.0)
