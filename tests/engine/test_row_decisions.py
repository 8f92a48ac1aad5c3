"""One decision for many rows that wait."""

import asyncio
from itertools import count

import pytest

import rowel.engine.rowdecisions
from rowel.core.errors import Conflict, Invalid, InvalidForm, NotFound, Unavailable
from rowel.core.status import PauseAction, RunStatus
from rowel.engine.rowdecisions import Wish
from rowel.store.runs import Filter
from tests.support.flows import child, flow, given, human, loop, output, router
from tests.support.house import Fuse, rested, save, upload

APPROVE, DECLINE, OVERRIDE = PauseAction.APPROVE, PauseAction.DECLINE, PauseAction.OVERRIDE
FORM = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
ASKS = flow("start>ask ask>a", start=given(n="int"), ask=human(form=FORM))
PART = flow("start>ask ask>a", ask=human(form=FORM))
SOME_ASK = flow(
    "start>route route.three>ask ask>a start>b",
    start=given(n="int"),
    route=router(three=("start.n", 3)),
    ask=human(),
)


@pytest.fixture(params=["house", "postgres_house"], ids=["sqlite", "postgres"])
def house(request):
    """A data directory on either database."""
    return request.getfixturevalue(request.param)


@pytest.fixture
async def engine(house):
    return await house.open()


async def waiting(engine, definition=ASKS, rows=8, window=4):
    """A batch that rests since rows wait for people."""
    dataset = await upload(engine, "n\n" + "".join(f"{n}\n" for n in range(rows)))
    batch = await engine.start_batch(await save(engine, definition), dataset.id, window)
    return await rested(engine, batch.run.id)


def wish(action=APPROVE, node_id="ask", **words):
    return Wish(**{"node_id": node_id, "action": action, "inputs": {"ok": True}, "user_id": "ann", **words})


async def rows_of(engine, batch):
    found = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=1000)
    return {view.run.row_index: view for view in found}


async def test_every_row_that_waits_is_decided_and_each_says_so(engine, stage):
    batch = await waiting(engine)

    verdict = await engine.decide_rows(batch.run.id, wish(comments="all fine"))
    end = await rested(engine, batch.run.id)

    assert (verdict.decided, verdict.refused) == (8, [])
    assert end.run.message == "8 of 8 rows completed."
    assert stage.most <= 4
    for row in (await rows_of(engine, batch)).values():
        (pause,) = await engine.pause_history(row.run.id)
        answer = (pause.resume_action, pause.resume_user_id, pause.resume_inputs, pause.comments)
        assert answer == (APPROVE, "ann", {"ok": True}, "all fine")
        assert row.outputs["ask"] == {"start": {"n": row.run.row_index}, "ok": True}


async def test_some_rows_are_decided_and_others_go_on_waiting(engine, stage):
    batch = await waiting(engine)

    verdict = await engine.decide_rows(batch.run.id, wish(rows=[1, 2, 5, 6], except_rows=[2]))

    seen = await rested(engine, batch.run.id)
    assert verdict.decided == 3
    assert (seen.run.status, seen.batch.completed, seen.batch.paused) == (RunStatus.PAUSED, 3, 5)
    rows = await rows_of(engine, batch)
    assert [n for n, row in sorted(rows.items()) if row.run.status is RunStatus.COMPLETED] == [1, 5, 6]


async def test_all_but_some_rows_are_decided(engine, stage):
    batch = await waiting(engine)

    assert (await engine.decide_rows(batch.run.id, wish(DECLINE, except_rows=[0, 7]))).decided == 6

    seen = await rested(engine, batch.run.id)
    assert (seen.batch.canceled, seen.batch.paused) == (6, 2)


async def test_rows_that_do_not_wait_are_refused_and_say_why(engine, stage):
    stage.hold("b")
    dataset = await upload(engine, "n\n" + "".join(f"{n}\n" for n in (3, 0, 3, 1)))
    batch = await engine.start_batch(await save(engine, SOME_ASK), dataset.id, 3)
    await stage.begun("b", 3)
    stage.let_go("b")
    await rested(engine, batch.run.id)

    verdict = await engine.decide_rows(batch.run.id, wish(OVERRIDE, rows=[3, 2, 1, 0]))

    assert verdict.decided == 2
    assert [(one.row_index, one.message, one.code) for one in verdict.refused] == [
        (1, "Row 1 is COMPLETED; it does not wait at node 'ask'.", "not_paused"),
        (3, "Row 3 is COMPLETED; it does not wait at node 'ask'.", "not_paused"),
    ]


async def test_a_row_that_has_not_begun_is_refused(engine, stage):
    dataset = await upload(engine, "n\n1\n2\n3\n")
    batch = await engine.start_batch(await save(engine, ASKS), dataset.id, 1, canary=1)
    await rested(engine, batch.run.id)

    verdict = await engine.decide_rows(batch.run.id, wish(rows=[2]))

    (refused,) = verdict.refused
    assert (refused.message, refused.run_id) == ("Row 2 has not begun.", None)


async def test_an_answer_that_does_not_fit_decides_nothing(engine, stage):
    batch = await waiting(engine)

    with pytest.raises(InvalidForm, match="ok"):
        await engine.decide_rows(batch.run.id, wish(inputs={"ok": "yes"}))

    assert (await engine.get_batch(batch.run.id)).batch.paused == 8


async def test_a_decline_needs_no_form(engine, stage):
    batch = await waiting(engine)

    verdict = await engine.decide_rows(batch.run.id, wish(DECLINE, inputs={}))

    assert verdict.decided == 8
    assert (await rested(engine, batch.run.id)).batch.canceled == 8


async def test_of_two_who_decide_at_once_each_row_has_one(engine, stage, monkeypatch):
    monkeypatch.setattr(rowel.engine.rowdecisions, "CHUNK", 5)
    batch = await waiting(engine, rows=40)

    one, other = await asyncio.gather(
        *(engine.decide_rows(batch.run.id, wish(user_id=name)) for name in ("ann", "bob"))
    )
    end = await rested(engine, batch.run.id)

    assert one.decided + other.decided == 40
    assert end.batch.completed == 40
    for verdict, faster in ((one, "bob"), (other, "ann")):
        assert len(verdict.refused) <= 40 - verdict.decided
        assert all(f"approved by {faster}" in refused.message for refused in verdict.refused)


async def test_pauses_inside_loops_are_decided_by_the_nodes_name_or_its_path(engine, stage):
    body = flow("start>ask ask>end", ask=human(), end=output(ok="ask.ok"))
    definition = flow("start>loop", start=given(n="int"), loop=loop(body, 2))
    batch = await waiting(engine, definition, rows=3)

    first = await engine.decide_rows(batch.run.id, wish(node_id="loop.0.ask"))
    await rested(engine, batch.run.id)
    second = await engine.decide_rows(batch.run.id, wish())

    assert (first.decided, second.decided) == (3, 3)
    assert (await rested(engine, batch.run.id)).run.status is RunStatus.COMPLETED


async def test_pauses_in_runs_that_rows_started_are_decided(engine, stage):
    part = await save(engine, PART)
    between = await save(engine, flow("start>sub", sub=child(part)))
    batch = await waiting(engine, flow("start>deep", start=given(n="int"), deep=child(between)), rows=3)

    verdict = await engine.decide_rows(batch.run.id, wish(rows=[0, 2]))
    seen = await rested(engine, batch.run.id)

    assert (verdict.decided, verdict.refused) == (2, [])
    assert (seen.run.status, seen.batch.completed, seen.batch.paused) == (RunStatus.PAUSED, 2, 1)
    with pytest.raises(InvalidForm):
        await engine.decide_rows(batch.run.id, wish(inputs={}))
    again = await engine.decide_rows(batch.run.id, wish(rows=[0, 1]))
    assert (again.decided, [refused.row_index for refused in again.refused]) == (1, [0])
    assert (await rested(engine, batch.run.id)).run.message == "3 of 3 rows completed."


async def test_a_row_that_waits_inside_is_named_by_its_own_run(engine, stage, monkeypatch):
    batch = await waiting(
        engine, flow("start>sub", start=given(n="int"), sub=child(await save(engine, PART)))
    )

    async def refuse(*arguments):
        raise Conflict("Somebody was faster.", "not_paused")

    monkeypatch.setattr(engine._decisions, "answer", refuse)
    verdict = await engine.decide_rows(batch.run.id, wish())

    rows = await rows_of(engine, batch)
    assert [refused.run_id for refused in verdict.refused] == [rows[n].run.id for n in range(8)]


async def test_where_no_row_waits_nothing_can_be_decided(engine, stage):
    batch = await waiting(engine, flow("start>a", start=given(n="int")))

    with pytest.raises(Conflict, match="COMPLETED; no row waits at node 'a'"):
        await engine.decide_rows(batch.run.id, wish(node_id="a"))


async def test_what_is_not_there_is_named(engine, stage):
    batch = await waiting(engine)

    with pytest.raises(NotFound, match="no node 'none'"):
        await engine.decide_rows(batch.run.id, wish(node_id="none"))
    with pytest.raises(Invalid, match=r"rows: .* runs no row 8"):
        await engine.decide_rows(batch.run.id, wish(rows=[1, 8]))
    with pytest.raises(Invalid, match=r"except_rows: .* runs no row 9"):
        await engine.decide_rows(batch.run.id, wish(except_rows=[9]))
    row = (await rows_of(engine, batch))[0]
    with pytest.raises(NotFound, match="is no batch"):
        await engine.decide_rows(row.run.id, wish())

    assert (await engine.get_batch(batch.run.id)).batch.paused == 8


async def test_rows_that_a_crash_cut_off_can_be_decided_again(house, stage, monkeypatch):
    monkeypatch.setattr(rowel.engine.rowdecisions, "AT_ONCE", 1)
    engine = await house.open()
    for groups in count(1, 3):
        batch = await waiting(engine, rows=6)
        fuse = Fuse(engine, groups, lands=bool(groups % 2))
        deciding = asyncio.ensure_future(engine.decide_rows(batch.run.id, wish()))
        blown = asyncio.ensure_future(fuse.blown())
        await asyncio.wait([deciding, blown], return_when=asyncio.FIRST_COMPLETED)
        was_cut = blown.done() or await fuse.burn()
        for task in (deciding, blown):
            task.cancel()
        await asyncio.gather(deciding, blown, return_exceptions=True)
        if was_cut:
            engine = await house.restart(engine)
            seen = await rested(engine, batch.run.id)
            if seen.batch.paused:
                await engine.decide_rows(batch.run.id, wish())
        end = await rested(engine, batch.run.id)
        assert end.batch.completed == 6
        if not was_cut:
            break
    assert groups > 4


async def test_a_store_that_goes_away_in_between_is_told_by_row(engine, stage, monkeypatch):
    monkeypatch.setattr(rowel.engine.rowdecisions, "AT_ONCE", 1)
    batch = await waiting(engine)
    answer = engine._decisions.answer
    left = [3]

    async def failing(*arguments):
        left[0] -= 1
        if left[0] < 0:
            raise Unavailable
        await answer(*arguments)

    monkeypatch.setattr(engine._decisions, "answer", failing)
    verdict = await engine.decide_rows(batch.run.id, wish())
    assert (verdict.decided, len(verdict.refused)) == (3, 5)
    assert {refused.code for refused in verdict.refused} == {"unavailable"}

    with pytest.raises(Unavailable):
        await engine.decide_rows(batch.run.id, wish())


async def test_many_answered_rows_are_taken_up_a_few_at_a_time(engine, stage, monkeypatch):
    batch = await waiting(engine, rows=60, window=3)
    looks = []
    open_rows = rowel.engine.batch.runs.open_rows

    def counting(connection, batch_id, limit):
        found = open_rows(connection, batch_id, limit)
        looks.append(len(found))
        return found

    monkeypatch.setattr(rowel.engine.batch.runs, "open_rows", counting)
    await engine.decide_rows(batch.run.id, wish())

    assert (await rested(engine, batch.run.id)).batch.completed == 60
    assert max(looks) <= 3 * 3
    assert stage.most <= 3
