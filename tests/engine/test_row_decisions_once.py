"""One decision for many rows that comes with a key is made once: whoever gets the request again goes on with it."""

import asyncio
from datetime import timedelta
from itertools import count

import pytest

import rowel.engine.rowdecisions
from rowel.core.errors import Conflict, InProgress, Invalid, InvalidForm, KeyReused, NotFound, Unavailable
from rowel.core.records import Answer
from rowel.core.status import PauseAction, RunStatus
from rowel.engine.once import Once, Receipts
from rowel.engine.rowdecisions import Wish
from rowel.store.runs import Filter
from tests.support.clocks import FakeClock
from tests.support.flows import flow, given, human, loop, output
from tests.support.house import Fuse, rested, save, still, upload

APPROVE = PauseAction.APPROVE
FORM = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
ASKS = flow("start>ask ask>a", start=given(n="int"), ask=human(form=FORM))
BODY = flow("start>ask ask>end", ask=human(), end=output(ok="ask.ok"))
ASKS_AGAIN = flow("start>loop", start=given(n="int"), loop=loop(BODY, 2))
ASKS_BESIDE = flow("start>one start>two", start=given(n="int"), one=loop(BODY, 1), two=loop(BODY, 1))


@pytest.fixture(params=["house", "postgres_house"], ids=["sqlite", "postgres"])
def house(request):
    """A data directory on either database."""
    return request.getfixturevalue(request.param)


@pytest.fixture
async def engine(house):
    return await house.open()


@pytest.fixture
def one_by_one(monkeypatch):
    """Rows are decided one after another."""
    monkeypatch.setattr(rowel.engine.rowdecisions, "AT_ONCE", 1)


async def waiting(engine, definition=ASKS, rows=4):
    """The id of a batch that rests since rows wait for people."""
    dataset = await upload(engine, "n\n" + "".join(f"{n}\n" for n in range(rows)))
    batch = await engine.start_batch(await save(engine, definition), dataset.id, 4)
    await still(engine)
    return batch.run.id


def wish(**words):
    return Wish(**{"node_id": "ask", "action": APPROVE, "inputs": {"ok": True}, "user_id": "ann", **words})


_numbers = count()


def told(verdict):
    """An answer that no second rendering gives again."""
    refused = [(one.row_index, one.code) for one in verdict.refused]
    return Answer(200, f"{verdict.decided} {refused} {next(_numbers)}")


def said(reply):
    return reply.answer.text.rpartition(" ")[0]


def once(key="k", *, asked=None, place=("decide",)):
    return Once.of(place, key, asked, told, in_steps=True)


def asking(engine, batch_id, **words):
    return lambda once: engine.decide_rows(batch_id, wish(**words), once=once)


async def answers(engine, batch_id):
    """For each row, in order, who answered its pauses, the oldest first; None is open."""
    rows = await engine.list_runs(Filter(parent_run_id=batch_id), limit=100)
    return [
        [pause.resume_user_id for pause in reversed(await engine.pause_history(row.run.id))]
        for row in sorted(rows, key=lambda row: row.run.row_index)
    ]


async def test_the_same_request_gets_the_same_answer_though_rows_wait_again(engine, stage):
    batch_id = await waiting(engine, ASKS_AGAIN)

    first = await engine.do_once(once(), asking(engine, batch_id, rows=[0, 2]))
    await still(engine)
    again = [await engine.do_once(once(), asking(engine, batch_id, rows=[0, 2])) for _ in range(2)]

    assert (said(first), first.run_id, first.is_replay) == ("2 []", batch_id, False)
    assert [(reply.answer, reply.run_id, reply.is_replay) for reply in again] == [
        (first.answer, batch_id, True)
    ] * 2
    assert await answers(engine, batch_id) == [["ann", None], [None], ["ann", None], [None]]


async def test_all_rows_say_the_same_moment(engine, clock, stage):
    batch_id = await waiting(engine)
    await clock.advance(60)

    await engine.do_once(once(), asking(engine, batch_id))

    rows = await engine.list_runs(Filter(parent_run_id=batch_id), limit=100)
    history = [await engine.pause_history(row.run.id) for row in rows]
    assert {pause.resume_time for (pause,) in history} == {clock.now()}


async def test_a_key_with_another_request_is_refused(engine, monkeypatch, stage):
    batch_id = await waiting(engine)
    await begun_elsewhere(engine, monkeypatch, batch_id, 1)

    with pytest.raises(KeyReused):
        await engine.do_once(once(asked="other"), asking(engine, batch_id))
    await engine.do_once(once(), asking(engine, batch_id))
    with pytest.raises(KeyReused):
        await engine.do_once(once(asked="other"), asking(engine, batch_id))


async def test_what_is_refused_leaves_its_key_free(engine, stage):
    batch_id = await waiting(engine)

    for error, words in (
        (NotFound, {"node_id": "none"}),
        (Conflict, {"node_id": "a"}),
        (Invalid, {"rows": [9]}),
        (InvalidForm, {"inputs": {"ok": "yes"}}),
    ):
        with pytest.raises(error):
            await engine.do_once(once(asked=words), asking(engine, batch_id, **words))

    assert said(await engine.do_once(once(), asking(engine, batch_id))) == "4 []"


async def test_after_a_day_what_was_left_undone_is_begun_anew(engine, clock, monkeypatch, stage):
    batch_id = await waiting(engine)
    await begun_elsewhere(engine, monkeypatch, batch_id, 1)
    await clock.advance(24 * 3600)

    reply = await engine.do_once(once(asked="other"), asking(engine, batch_id))

    assert said(reply) == "3 []"


# Power cuts and other trouble


@pytest.mark.parametrize(
    ("definition", "lands"), [(ASKS_AGAIN, True), (ASKS_BESIDE, False)], ids=["again", "beside"]
)
async def test_wherever_it_is_cut_each_row_is_decided_once_and_no_later_pause(
    house, stage, one_by_one, definition, lands
):
    engine = await house.open()
    for groups in count(1):
        batch_id = await waiting(engine, definition, rows=2)
        request = once(f"k{groups}")
        if not await is_cut(engine, groups, engine.do_once(request, asking(engine, batch_id)), lands=lands):
            break
        engine = await house.restart(engine)
        await still(engine)

        reply = await engine.do_once(request, asking(engine, batch_id))

        assert said(reply) == "2 []"
        assert (await engine.do_once(request, asking(engine, batch_id))).answer == reply.answer
        await still(engine)
        assert [sorted(row, key=str) for row in await answers(engine, batch_id)] == [[None, "ann"]] * 2
    assert groups > 4


async def is_cut(engine, groups, asking, *, lands):
    """Ask, and cut the power at one of the groups that are written from then on. False where they are fewer."""
    fuse = Fuse(engine, groups, lands=lands)
    call = asyncio.ensure_future(asking)
    blown = asyncio.ensure_future(fuse.blown())
    await asyncio.wait([call, blown], return_when=asyncio.FIRST_COMPLETED)
    has_blown = blown.done() or await fuse.burn()
    for task in (call, blown):
        task.cancel()
    await asyncio.gather(call, blown, return_exceptions=True)
    return has_blown


async def begun_elsewhere(engine, monkeypatch, batch_id, decided, **words):
    """Another process keeps the receipt of a request, decides so many rows, and dies."""
    answer = engine._decisions.answer
    left = [decided]

    async def dying(*arguments):
        left[0] -= 1
        if left[0] < 0:
            raise asyncio.CancelledError
        await answer(*arguments)

    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(rowel.engine.rowdecisions, "AT_ONCE", 1)
        elsewhere.setattr(engine._decisions, "answer", dying)
        with pytest.raises(asyncio.CancelledError):
            await engine.do_once(once(), asking(engine, batch_id, **words))
    await still(engine)


@pytest.mark.parametrize("decided", [0, 2, 3])
async def test_what_others_decided_meanwhile_is_told_and_pauses_that_came_later_wait(
    engine, clock, monkeypatch, stage, decided
):
    batch_id = await waiting(engine, ASKS_AGAIN)
    await begun_elsewhere(engine, monkeypatch, batch_id, decided)
    await clock.advance(1)
    await engine.decide_rows(batch_id, wish(user_id="bob", rows=[3]))
    await still(engine)

    reply = await engine.do_once(once(), asking(engine, batch_id))

    assert said(reply) == "3 [(3, 'not_paused')]"
    await still(engine)
    assert await answers(engine, batch_id) == [["ann", None]] * 3 + [["bob", None]]


async def test_rows_that_are_named_and_were_decided_before_the_crash_count(engine, clock, monkeypatch, stage):
    batch_id = await waiting(engine)
    await begun_elsewhere(engine, monkeypatch, batch_id, 2, rows=[0, 1, 2])
    await clock.advance(1)

    reply = await engine.do_once(once(), asking(engine, batch_id, rows=[0, 1, 2]))

    assert said(reply) == "3 []"
    assert (await rested(engine, batch_id)).run.status is RunStatus.PAUSED


async def test_what_was_begun_about_a_batch_that_was_canceled_is_ended(engine, clock, monkeypatch, stage):
    batch_id = await waiting(engine)
    await begun_elsewhere(engine, monkeypatch, batch_id, 0)
    await engine.cancel(batch_id)

    replies = [await engine.do_once(once(), asking(engine, batch_id)) for _ in range(2)]

    assert [said(reply) for reply in replies] == ["0 []"] * 2


async def test_where_the_store_goes_away_in_between_it_is_not_answered_and_goes_on_when_asked_again(
    engine, monkeypatch, stage, one_by_one
):
    batch_id = await waiting(engine)
    answer = engine._decisions.answer
    left = [3]

    async def failing(*arguments):
        left[0] -= 1
        if left[0] < 0:
            raise Unavailable
        await answer(*arguments)

    with monkeypatch.context() as trouble:
        trouble.setattr(engine._decisions, "answer", failing)
        with pytest.raises(Unavailable, match="Send the same request again"):
            await engine.do_once(once(), asking(engine, batch_id))
        await still(engine)
        with pytest.raises(Unavailable):
            await engine.do_once(once(), asking(engine, batch_id))

    assert said(await engine.do_once(once(), asking(engine, batch_id))) == "4 []"


async def test_while_the_store_refuses_writes_nothing_is_begun(engine, monkeypatch, stage):
    batch_id = await waiting(engine)

    async def refuse(*arguments, **options):
        raise Unavailable

    with monkeypatch.context() as trouble:
        trouble.setattr(engine._house.database.writer, "write", refuse)
        with pytest.raises(Unavailable):
            await engine.do_once(once(), asking(engine, batch_id))

    assert said(await engine.do_once(once(asked="other"), asking(engine, batch_id))) == "4 []"


async def test_a_clock_that_went_back_in_between_changes_nothing(engine, clock, monkeypatch, stage):
    await clock.advance(3600)
    batch_id = await waiting(engine, ASKS_AGAIN)
    await clock.advance(-600)
    await begun_elsewhere(engine, monkeypatch, batch_id, 2)
    await clock.advance(-600)

    reply = await engine.do_once(once(), asking(engine, batch_id))

    assert said(reply) == "4 []"
    await still(engine)
    assert await answers(engine, batch_id) == [["ann", None]] * 4


# Other processes


async def test_processes_that_get_the_same_request_at_once_work_on_it_together_and_answer_alike(
    engine, monkeypatch, stage
):
    monkeypatch.setattr(rowel.engine.rowdecisions, "AT_ONCE", 3)
    batch_id = await waiting(engine, ASKS_AGAIN, rows=20)
    processes = [Receipts(engine._house) for _ in range(4)]

    replies = await asyncio.gather(
        *(process.do(once(), asking(engine, batch_id)) for process in processes), return_exceptions=True
    )

    done = [reply for reply in replies if not isinstance(reply, InProgress)]
    assert {said(reply) for reply in done} == {"20 []"}
    assert len({reply.answer for reply in done}) == 1
    await still(engine)
    assert await answers(engine, batch_id) == [["ann", None]] * 20


async def test_who_comes_while_another_process_is_at_it_goes_on_beside_it(engine, stage, monkeypatch):
    batch_id = await waiting(engine)
    keep = engine._house.journal.keep
    kept, may_go_on = asyncio.Event(), asyncio.Event()

    async def keeping(receipt):
        is_kept = await keep(receipt)
        kept.set()
        await may_go_on.wait()
        return is_kept

    monkeypatch.setattr(engine._house.journal, "keep", keeping)
    slow = asyncio.ensure_future(Receipts(engine._house).do(once(), asking(engine, batch_id)))
    await kept.wait()

    fast = await engine.do_once(once(), asking(engine, batch_id))
    may_go_on.set()

    assert said(fast) == "4 []"
    assert (await slow).answer == fast.answer
    assert (await slow).is_replay


async def test_a_key_that_another_process_took_between_look_and_commit_is_in_progress(
    engine, stage, monkeypatch
):
    batch_id = await waiting(engine)
    await begun_elsewhere(engine, monkeypatch, batch_id, 1)
    find, looks = Receipts._find, []

    async def blind_once(self, once):
        looks.append(once)
        return None if len(looks) % 2 else await find(self, once)

    monkeypatch.setattr(Receipts, "_find", blind_once)

    with pytest.raises(InProgress):
        await engine.do_once(once(), asking(engine, batch_id))
    with pytest.raises(KeyReused):
        await engine.do_once(once(asked="other"), asking(engine, batch_id))

    assert await answers(engine, batch_id) == [["ann"], [None], [None], [None]]


async def test_of_two_keys_at_once_each_row_counts_for_one(house, stage, monkeypatch):
    ticks, now = count(), FakeClock.now
    monkeypatch.setattr(FakeClock, "now", lambda clock: now(clock) + timedelta(microseconds=next(ticks)))
    engine = await house.open()
    batch_id = await waiting(engine, rows=40)

    one, other = await asyncio.gather(
        *(engine.do_once(once(key), asking(engine, batch_id)) for key in ("k", "l"))
    )

    assert sum(int(said(reply).partition(" ")[0]) for reply in (one, other)) == 40
