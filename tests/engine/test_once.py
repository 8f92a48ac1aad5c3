"""A request with a key is done once, however often it comes, whatever is cut off and whenever."""

import asyncio
from itertools import count

import pytest

from rowel.core.errors import Conflict, InProgress, Invalid, InvalidInputs, KeyReused, NotFound, Unavailable
from rowel.core.records import Answer
from rowel.core.status import PauseAction, RunStatus, RunType, TaskStatus
from rowel.engine.once import Once, Receipts
from rowel.engine.reruns import Order
from rowel.store.runs import Filter
from tests.support.flows import flow, given, human
from tests.support.house import Fuse, save, still, upload

APPROVE = PauseAction.APPROVE
CHAIN = flow("start>a a>end")
ASKS = flow("start>ask ask>a a>end", ask=human())
ASKS_TWO = flow("start>ask start>too ask>end too>end", ask=human(), too=human())
_numbers = count()


def told(seen):
    """An answer that follows from the run."""
    return Answer(200, f"{seen.run.id} {seen.run.status} {seen.run.message} {seen.outputs}")


def never_the_same(seen):
    """An answer that no second rendering gives again."""
    return Answer(200, f"{told(seen).text} {next(_numbers)}")


def once(key="k", *, asked=None, place=("start",), render=never_the_same):
    return Once.of(place, key, asked, render)


def waits(key="k", **what):
    """A request whose answer waits for the run."""
    return once(key, render=told, **what)


def request_of(name, key="k"):
    return waits(key) if name in ("run", "partial") else once(key)


async def runs_of(engine, workflow_id, run_type=None):
    return await engine.list_runs(Filter(workflow_id=workflow_id, run_type=run_type), limit=100)


class Commands:
    """Each way to ask for something, by its name: what is asked of an engine with `once`."""

    def __init__(self, workflow_id="", *, dataset_id="", asking_id="", ended_id=""):
        self.workflow_id = workflow_id
        self._dataset_id = dataset_id
        self._asking_id = asking_id
        self._ended_id = ended_id

    def named(self, name, engine):
        return getattr(self, name)(engine)

    async def count_runs(self, engine):
        """The workflow's runs, partial ones included, without rows."""
        found = [
            *await runs_of(engine, self.workflow_id),
            *await runs_of(engine, self.workflow_id, run_type=RunType.PARTIAL),
        ]
        return sum(seen.run.owner_id is None for seen in found)

    def start(self, engine):
        return lambda once: engine.start(self.workflow_id, {"start": {"n": 1}}, once=once)

    def run(self, engine):
        return lambda once: engine.run(self.workflow_id, {"start": {"n": 1}}, once=once)

    def partial(self, engine):
        return lambda once: engine.run_partial(self.workflow_id, "a", {"start": {"n": 1}}, once=once)

    def batch(self, engine):
        return lambda once: engine.start_batch(self.workflow_id, self._dataset_id, once=once)

    def rerun(self, engine):
        order = Order(from_nodes=["a"])
        return lambda once: engine.rerun(self._ended_id, order, once=once)

    def decide(self, engine):
        return lambda once: engine.decide(self._asking_id, APPROVE, {"ok": True}, "ann", "fine", once=once)


async def commands(engine):
    """Everything that can be asked about a workflow that was run once, so that its version is written."""
    workflow_id = await save(engine, CHAIN)
    return Commands(
        workflow_id,
        dataset_id=(await upload(engine, "n\n1\n2\n")).id,
        asking_id=(await engine.run(await save(engine, ASKS), None)).run.id,
        ended_id=(await engine.run(workflow_id, {"start": {"n": 0}})).run.id,
    )


NAMES = ["start", "run", "partial", "batch", "rerun", "decide"]


@pytest.mark.parametrize("name", NAMES)
async def test_the_same_request_gets_the_same_answer_and_nothing_is_done_twice(engine, stage, name):
    ask = (await commands(engine)).named(name, engine)
    request = request_of(name)

    first = await engine.do_once(request, ask)
    await still(engine)
    counts = dict(stage.counts)
    again = [await engine.do_once(request, ask) for _ in range(3)]

    assert not first.is_replay
    assert [(reply.answer, reply.run_id, reply.is_replay) for reply in again] == [
        (first.answer, first.run_id, True)
    ] * 3
    assert dict(stage.counts) == counts
    assert max(counts.values()) == 1


async def test_a_key_with_another_request_is_refused(engine):
    workflow_id = await save(engine, CHAIN)
    ask = Commands(workflow_id).start(engine)
    await engine.do_once(once(asked={"a": 1, "b": [2]}), ask)

    assert (await engine.do_once(once(asked={"b": [2], "a": 1}), ask)).is_replay
    with pytest.raises(KeyReused):
        await engine.do_once(once(asked={"a": 1, "b": [3]}), ask)

    assert len(await runs_of(engine, workflow_id)) == 1


async def test_a_key_is_another_one_elsewhere(engine):
    workflow_id = await save(engine, CHAIN)
    ask = Commands(workflow_id).start(engine)

    places = [("start", "w"), ("run", "w"), ("start", "v"), ("start", "w", "k"), ("startw",)]
    replies = [await engine.do_once(once(place=place), ask) for place in places]

    assert not any(reply.is_replay for reply in replies)
    assert len(await runs_of(engine, workflow_id)) == len(places)


@pytest.mark.parametrize("key", ["", "é", "a\n", "\x7f", "x" * 256, "\ud800"])
def test_a_key_is_printable_ascii_and_not_long(key):
    with pytest.raises(Invalid, match="1 to 255 printable ASCII"):
        once(key)


@pytest.mark.parametrize("name", NAMES)
async def test_of_fifty_at_once_one_is_done(engine, stage, name):
    ask = (await commands(engine)).named(name, engine)
    request = request_of(name)
    before = stage.count("a")
    stage.hold("a")
    calls = [asyncio.ensure_future(engine.do_once(request, ask)) for _ in range(50)]
    await stage.begun("a", before + 1)
    stage.let_go("a")

    replies = await asyncio.gather(*calls, return_exceptions=True)

    done = [reply for reply in replies if not isinstance(reply, InProgress)]
    assert sum(not reply.is_replay for reply in done) == 1
    assert len({reply.answer for reply in done}) == 1
    await still(engine)
    assert max(stage.counts.values()) == 1


async def test_while_the_first_is_worked_on_another_request_with_its_key_is_refused(engine, stage):
    stage.hold("a")
    ask = Commands(await save(engine, CHAIN)).run(engine)
    first = asyncio.ensure_future(engine.do_once(waits(), ask))
    await stage.begun("a")

    with pytest.raises(KeyReused):
        await engine.do_once(waits(asked="other"), ask)
    with pytest.raises(InProgress, match="is RUNNING"):
        await engine.do_once(waits(), ask)
    stage.let_go("a")

    assert not (await first).is_replay
    with pytest.raises(KeyReused):
        await engine.do_once(waits(asked="other"), ask)


async def test_of_different_requests_with_one_key_at_once_one_is_done_and_the_others_hear_so(engine, stage):
    workflow_id = await save(engine, CHAIN)
    ask = Commands(workflow_id).start(engine)

    replies = await asyncio.gather(
        *[engine.do_once(once(asked=number), ask) for number in range(20)], return_exceptions=True
    )

    assert sorted(type(reply).__name__ for reply in replies) == ["KeyReused"] * 19 + ["Reply"]
    assert len(await runs_of(engine, workflow_id)) == 1


async def test_what_is_refused_leaves_its_key_free(engine):
    workflow_id = await save(engine, flow("start>a a>end", start=given(n="int")))

    with pytest.raises(InvalidInputs):
        await engine.do_once(
            once(asked="bad"), lambda once: engine.start(workflow_id, {"start": {"n": "x"}}, once=once)
        )
    with pytest.raises(NotFound):
        await engine.do_once(once(asked="bad"), lambda once: engine.start("none", None, once=once))

    assert not (await engine.do_once(once(asked="good"), Commands(workflow_id).start(engine))).is_replay


@pytest.mark.parametrize("name", NAMES)
async def test_while_the_store_refuses_writes_nothing_is_done_and_the_key_stays_free(
    engine, monkeypatch, name
):
    made = await commands(engine)
    ask = made.named(name, engine)
    writer = engine._house.database.writer

    async def refuse(*arguments, **options):
        raise Unavailable

    with monkeypatch.context() as trouble:
        trouble.setattr(writer, "write", refuse)
        with pytest.raises(Unavailable):
            await engine.do_once(once(), ask)
    await still(engine)
    assert await made.count_runs(engine) == 1

    assert not (await engine.do_once(once(), ask)).is_replay


async def test_after_a_day_a_key_may_be_used_anew(engine, clock):
    workflow_id = await save(engine, CHAIN)
    ask = Commands(workflow_id).start(engine)
    first = await engine.do_once(once(), ask)

    await clock.advance(24 * 3600 - 1)
    assert (await engine.do_once(once(), ask)).answer == first.answer
    await clock.advance(1)
    later = await engine.do_once(once(asked="another"), ask)

    assert not later.is_replay
    assert later.run_id != first.run_id
    assert (await engine.do_once(once(asked="another"), ask)).answer == later.answer


# Power cuts


@pytest.mark.parametrize("lands", [True, False], ids=["landed", "lost"])
@pytest.mark.parametrize("name", NAMES)
async def test_wherever_it_is_cut_a_request_that_comes_again_is_done_once(house, stage, name, lands):
    engine = await house.open()
    for groups in count(1):
        made = await commands(engine)
        request = request_of(name, f"k{groups}")
        if not await is_cut(engine, groups, engine.do_once(request, made.named(name, engine)), lands=lands):
            break
        engine = await house.restart(engine)

        reply = await until_answered(engine, request, made.named(name, engine))

        assert reply.is_replay is (lands or groups > 1)
        assert (await engine.do_once(request, made.named(name, engine))).answer == reply.answer
        await still(engine)
        assert (await engine.get_run(reply.run_id)).run.status is RunStatus.COMPLETED
        assert await made.count_runs(engine) == (1 if name == "decide" else 2)
    assert groups > 2


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


async def until_answered(engine, request, ask):
    """Ask again as a client does, until the first request has been worked on."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await engine.do_once(request, ask)
            except InProgress:
                await still(engine)


async def test_a_blocking_request_is_in_progress_while_its_run_is_recovered(house, stage):
    engine = await house.open()
    stage.hold("a")
    ask = Commands(await save(engine, CHAIN))
    first = asyncio.ensure_future(engine.do_once(waits(), ask.run(engine)))
    await stage.begun("a")
    engine = await house.restart(engine)
    first.cancel()
    await stage.begun("a", times=2)

    with pytest.raises(InProgress, match="is RUNNING"):
        await engine.do_once(waits(), ask.run(engine))
    stage.let_go("a")
    await still(engine)
    reply = await engine.do_once(waits(), ask.run(engine))

    assert reply.is_replay
    assert "COMPLETED" in reply.answer.text


async def test_a_blocking_request_whose_time_was_up_is_answered_once_its_run_rests(engine, stage):
    stage.hold("a")
    workflow_id = await save(engine, CHAIN)
    await engine.start(workflow_id, None)

    def ask(once):
        return engine.run(workflow_id, {"start": {"n": 1}}, timeout_s=0.01, once=once)

    late = await engine.do_once(waits(), ask)
    assert "RUNNING" in late.answer.text
    with pytest.raises(InProgress):
        await engine.do_once(waits(), ask)
    stage.let_go("a")
    await still(engine)

    assert "COMPLETED" in (await engine.do_once(waits(), ask)).answer.text
    assert len(await runs_of(engine, workflow_id)) == 2


# Runs that pause


async def test_the_answer_that_a_run_waits_for_people_stays_though_it_goes_on(house):
    engine = await house.open()
    ask = Commands(await save(engine, ASKS))
    first = await engine.do_once(waits(), ask.run(engine))
    assert "PAUSED" in first.answer.text
    await engine.decide(first.run_id, APPROVE, {}, "ann")
    await still(engine)
    engine = await house.restart(engine)

    assert (await engine.do_once(waits(), ask.run(engine))).answer == first.answer


async def test_an_answer_that_was_never_sent_is_that_of_the_run_as_it_then_rests(house):
    engine = await house.open()
    ask = Commands(await save(engine, ASKS))
    run = await engine.run(ask.workflow_id, {"start": {"n": 1}}, once=waits())
    engine = await house.restart(engine)

    first = await engine.do_once(waits(), ask.run(engine))
    await engine.decide(run.run.id, APPROVE, {}, "ann")
    await still(engine)

    assert "PAUSED" in first.answer.text
    assert (await engine.do_once(waits(), ask.run(engine))).answer == first.answer


async def test_a_paused_run_that_was_answered_and_moves_is_in_progress(house, stage):
    engine = await house.open()
    stage.hold("a")
    ask = Commands(await save(engine, flow("start>ask start>too ask>a", ask=human(), too=human())))
    run = await engine.run(ask.workflow_id, {"start": {"n": 1}}, once=waits())
    await engine.decide(run.run.id, APPROVE, {}, "ann", node_id="ask")
    await stage.begun("a")
    assert (await engine.get_run(run.run.id)).run.status is RunStatus.PAUSED

    with pytest.raises(InProgress, match="is PAUSED"):
        await engine.do_once(waits(), ask.run(engine))
    stage.let_go("a")
    await still(engine)

    assert "PAUSED" in (await engine.do_once(waits(), ask.run(engine))).answer.text


async def test_of_two_answers_to_one_pausing_run_the_one_that_was_kept_counts(engine):
    ask = Commands(await save(engine, ASKS))
    await engine.run(ask.workflow_id, {"start": {"n": 1}}, once=once())

    replies = await asyncio.gather(*[engine.do_once(once(), ask.run(engine)) for _ in range(10)])

    assert len({reply.answer for reply in replies}) == 1


@pytest.mark.parametrize(("definition", "status"), [(ASKS, "RUNNING"), (ASKS_TWO, "PAUSED")])
async def test_a_decision_is_answered_with_what_it_made_of_the_run(engine, stage, definition, status):
    stage.hold("a")
    run = await engine.run(await save(engine, definition), {"start": {"n": 1}})
    ask = Commands(asking_id=run.run.id)
    shown = []

    def render(seen):
        shown.append(seen)
        return told(seen)

    reply = await engine.do_once(once(render=render), ask.decide(engine))

    assert f" {status} Node 'ask' was approved by ann: fine " in reply.answer.text
    (seen,) = [seen for seen in shown if told(seen) == reply.answer]
    (task,) = [task for task in seen.tasks if task.node_id == "ask"]
    assert (task.status, task.outputs["ok"]) == (TaskStatus.COMPLETED, True)


@pytest.mark.parametrize("action", [APPROVE, PauseAction.DECLINE])
async def test_a_decision_about_the_rest_of_a_batch_is_made_once_and_told_again(engine, action):
    dataset = await upload(engine, "n\n1\n2\n3\n")
    batch = await engine.start_batch(await save(engine, CHAIN), dataset.id, 3, canary=1)
    await still(engine)
    shown = []

    def render(seen):
        shown.append(seen)
        return told(seen)

    def ask(once):
        return engine.decide(batch.run.id, action, {}, "ann", once=once)

    first = await engine.do_once(once(render=render), ask)
    (seen,) = [seen for seen in shown if told(seen) == first.answer]
    await still(engine)
    now = await engine.get_run(batch.run.id)

    if action is APPROVE:
        assert (seen.run.status, now.run.status) == (RunStatus.RUNNING, RunStatus.COMPLETED)
        assert seen.run.message == "The rest of the batch was approved by ann"
    else:
        assert seen.run == now.run.evolve(seq=seen.run.seq, epoch=seen.run.epoch, has_work=seen.run.has_work)
        assert seen.run.status is RunStatus.CANCELED
        assert seen.percentage_complete == now.percentage_complete == 100.0
    assert (await engine.do_once(once(), ask)).answer == first.answer


# Other processes


async def faster_elsewhere(engine, monkeypatch, request, ask):
    """Another process does the same between this one's look and its commit."""
    await engine.do_once(request, ask)
    find, looks = Receipts._find, []

    async def blind_once(self, once):
        looks.append(once)
        return None if len(looks) == 1 else await find(self, once)

    monkeypatch.setattr(Receipts, "_find", blind_once)


@pytest.mark.parametrize("name", NAMES)
async def test_who_loses_the_race_against_another_process_gets_its_answer(engine, stage, monkeypatch, name):
    made = await commands(engine)
    request = request_of(name)
    await faster_elsewhere(engine, monkeypatch, request, made.named(name, engine))
    await still(engine)
    counts = dict(stage.counts)

    reply = await engine.do_once(request, made.named(name, engine))

    assert reply.is_replay
    await still(engine)
    assert dict(stage.counts) == counts
    assert await made.count_runs(engine) == (1 if name == "decide" else 2)


async def test_who_loses_the_race_with_another_request_is_told_so(engine, monkeypatch):
    made = await commands(engine)
    await faster_elsewhere(engine, monkeypatch, once(), made.start(engine))

    with pytest.raises(KeyReused):
        await engine.do_once(once(asked="other"), made.start(engine))


async def test_a_decision_about_another_pause_with_the_same_key_changes_nothing(engine, monkeypatch):
    run = await engine.run(await save(engine, ASKS_TWO), None)
    ask = Commands(asking_id=run.run.id)
    await faster_elsewhere(engine, monkeypatch, once(), ask.decide(engine))

    with pytest.raises(KeyReused):
        await engine.do_once(once(asked="the other pause"), ask.decide(engine))

    assert [pause.is_open for pause in await engine.pause_history(run.run.id)] == [True, False]


async def test_a_refusal_that_has_nothing_to_do_with_the_key_stays_what_it_is(engine):
    run = await engine.run(await save(engine, ASKS), None)
    await engine.decide(run.run.id, APPROVE, {}, "bob")

    with pytest.raises(Conflict, match="It was approved by bob"):
        await engine.do_once(once(), Commands(asking_id=run.run.id).decide(engine))
