"""Runs that wait for people."""

import asyncio

import pytest

from rowel.core.errors import Conflict, InvalidForm, NotFound
from rowel.core.status import PauseAction, RunStatus, TaskStatus
from tests.support.flows import coalesce, flow, human, merge, work
from tests.support.house import reaches, rested, save, statuses, task_at

APPROVE, DECLINE, OVERRIDE = PauseAction.APPROVE, PauseAction.DECLINE, PauseAction.OVERRIDE
COMPLETED, CANCELED, PAUSED, PENDING = (
    TaskStatus.COMPLETED,
    TaskStatus.CANCELED,
    TaskStatus.PAUSED,
    TaskStatus.PENDING,
)
ASKS = flow("start>ask ask>a a>end", ask=human(message="May we?"))
GIVEN = {"start": {"amount": 5, "currency": "EUR"}}


async def paused(engine, definition, inputs=None):
    """A run that rests in its pauses."""
    view = await engine.run(await save(engine, definition), inputs)
    assert view.run.status is RunStatus.PAUSED
    return view


async def answered(engine, run_id, action, inputs=None, user="ann", comments=None, **options):
    """Decide, and return the run once it rests again."""
    await engine.decide(run_id, action, inputs or {}, user, comments, **options)
    return await rested(engine, run_id)


async def test_a_human_node_pauses_its_run(engine):
    view = await paused(engine, ASKS, GIVEN)

    assert statuses(view) == {"start": COMPLETED, "ask": PAUSED, "a": PENDING, "end": PENDING}
    assert view.run.end_time is None
    assert view.run.message is None
    assert view.outputs.keys() == {"start"}


async def test_the_pause_says_what_is_asked_and_what_the_node_received(engine, clock):
    view = await paused(engine, ASKS, GIVEN)

    (pause,) = await engine.pause_history(view.run.id)

    assert pause.node_id == "ask"
    assert pause.message == "May we?"
    assert pause.input_data == GIVEN
    assert pause.pause_time == clock.now()
    assert (pause.resume_time, pause.resume_user_id, pause.resume_action, pause.comments) == (None,) * 4


async def test_the_message_is_plain_text_and_no_template(engine):
    view = await paused(engine, flow("start>ask", ask=human(message="Send {{start.amount}}?")), GIVEN)

    assert (await engine.pause_history(view.run.id))[0].message == "Send {{start.amount}}?"


async def test_branches_beside_a_pause_finish_first(engine, stage):
    stage.hold("b")
    definition = flow("start>ask ask>a start>b b>c", ask=human())
    run = await engine.start(await save(engine, definition), None)
    await stage.begun("b")

    seen = await engine.get_run(run.run.id)
    assert seen.run.status is RunStatus.RUNNING
    assert statuses(seen)["ask"] is PAUSED
    stage.let_go("b")

    view = await reaches(engine, run.run.id, RunStatus.PAUSED)
    assert statuses(view)["c"] is COMPLETED
    assert statuses(view)["a"] is PENDING


async def test_approved_the_outputs_are_what_came_in_updated_with_the_inputs(engine, stage):
    view = await paused(engine, ASKS, GIVEN)

    end = await answered(engine, view.run.id, APPROVE, {"start": {"amount": 9}, "note": "ok"})

    assert end.run.status is RunStatus.COMPLETED
    assert end.outputs["ask"] == {"start": {"amount": 9}, "note": "ok"}
    assert stage.calls[0].inputs == {"ask": {"start": {"amount": 9}, "note": "ok"}}


async def test_approved_without_inputs_it_hands_on_what_it_received(engine):
    view = await paused(engine, ASKS, GIVEN)

    assert (await answered(engine, view.run.id, APPROVE)).outputs["ask"] == GIVEN


async def test_overridden_the_outputs_are_the_inputs_alone(engine):
    view = await paused(engine, ASKS, GIVEN)

    end = await answered(engine, view.run.id, OVERRIDE, {"note": "instead"})

    assert end.run.status is RunStatus.COMPLETED
    assert end.outputs["ask"] == {"note": "instead"}
    assert end.outputs["end"] == {"a": {"by": "a"}}


async def test_declined_the_node_and_all_behind_it_are_canceled_and_the_run_says_who_and_why(engine, stage):
    view = await paused(engine, ASKS, GIVEN)

    end = await answered(engine, view.run.id, DECLINE, comments="too much")

    assert end.run.status is RunStatus.CANCELED
    assert end.run.message == "Node 'ask' was declined by ann: too much"
    assert end.run.end_time is not None
    assert statuses(end) == {"start": COMPLETED, "ask": CANCELED, "a": CANCELED, "end": CANCELED}
    assert stage.calls == []


async def test_a_declined_run_ends_once_its_other_branches_have_ended(engine, stage):
    stage.hold("b")
    run = await engine.start(await save(engine, flow("start>ask ask>a start>b b>c", ask=human())), None)
    await stage.begun("b")

    answer = await engine.decide(run.run.id, DECLINE, {}, "ann", None)
    assert answer.run.status is RunStatus.RUNNING
    stage.let_go("b")
    end = await rested(engine, run.run.id)

    assert end.run.status is RunStatus.CANCELED
    assert statuses(end)["c"] is COMPLETED
    assert statuses(end)["a"] is CANCELED


async def test_a_declined_link_is_taken_instead(engine):
    definition = flow(
        "start>ask ask>a ask.declined>b a>pick b>pick pick>end", ask=human(), pick=coalesce("a", "b")
    )
    view = await paused(engine, definition, GIVEN)

    end = await answered(engine, view.run.id, DECLINE, {"reason": "no"}, comments="no money")

    assert end.run.status is RunStatus.COMPLETED
    assert statuses(end)["a"] is CANCELED
    assert end.outputs["pick"] == {"by": "b"}
    assert end.outputs["ask"] == {**GIVEN, "reason": "no"}


@pytest.mark.parametrize("action", [APPROVE, OVERRIDE])
async def test_a_declined_link_is_not_taken_by_other_answers(engine, action):
    view = await paused(engine, flow("start>ask ask>a ask.declined>b", ask=human()))

    end = await answered(engine, view.run.id, action, {"x": 1})

    assert (statuses(end)["a"], statuses(end)["b"]) == (COMPLETED, CANCELED)


@pytest.mark.parametrize(
    ("action", "told"),
    [
        (APPROVE, "Node 'ask' was approved by ann: fine"),
        (DECLINE, "Node 'ask' was declined by ann: fine"),
        (OVERRIDE, "Node 'ask' was overridden by ann: fine"),
    ],
)
async def test_every_action_is_recorded_and_its_answer_says_what_was_decided(engine, clock, action, told):
    view = await paused(engine, ASKS, GIVEN)
    await clock.advance(60)

    answer = await engine.decide(view.run.id, action, {"x": 1}, "ann", "fine")

    assert answer.run.message == told
    (pause,) = await engine.pause_history(view.run.id)
    assert pause.resume_action is action
    assert pause.resume_user_id == "ann"
    assert pause.resume_time == clock.now()
    assert pause.resume_inputs == {"x": 1}
    assert pause.comments == "fine"
    assert pause.input_data == GIVEN


async def test_the_answer_shows_the_run_moving_again(engine, stage):
    stage.hold("a")
    view = await paused(engine, ASKS)

    answer = await engine.decide(view.run.id, APPROVE, {}, "ann", None)

    assert answer.run.status is RunStatus.RUNNING
    assert task_at(answer, "ask").status is COMPLETED


async def test_three_pauses_in_series(engine):
    definition = flow("start>one one>two two>three three>end", one=human(), two=human(), three=human())
    run_id = (await paused(engine, definition)).run.id

    for number, node in enumerate(("one", "two", "three")):
        assert statuses(await engine.get_run(run_id))[node] is PAUSED
        end = await answered(engine, run_id, APPROVE, {"n": number})

    assert end.run.status is RunStatus.COMPLETED
    assert end.outputs["end"]["three"]["n"] == 2
    history = await engine.pause_history(run_id)
    assert [pause.node_id for pause in history] == ["three", "two", "one"]


async def test_three_pauses_side_by_side_are_answered_oldest_first(engine):
    definition = flow(
        "start>one start>two start>three one>join two>join three>join",
        one=human(),
        two=human(),
        three=human(),
        join=merge(),
    )
    run_id = (await paused(engine, definition)).run.id
    oldest_first = [pause.node_id for pause in reversed(await engine.pause_history(run_id))]

    for node in oldest_first:
        assert (await engine.get_run(run_id)).run.status is RunStatus.PAUSED
        end = await answered(engine, run_id, APPROVE)
        assert statuses(end)[node] is COMPLETED

    assert end.run.status is RunStatus.COMPLETED
    assert end.outputs["join"].keys() == {"one", "two", "three"}


async def test_an_answered_branch_goes_on_while_the_run_still_says_paused(engine, stage):
    definition = flow("start>one start>two one>a two>b", one=human(), two=human())
    run_id = (await paused(engine, definition)).run.id
    stage.hold("a")

    answer = await engine.decide(run_id, APPROVE, {}, "ann", None, node_id="one")
    await stage.begun("a")
    seen = await engine.get_run(run_id)
    assert answer.run.status is seen.run.status is RunStatus.PAUSED
    assert statuses(seen)["a"] is TaskStatus.RUNNING
    stage.let_go("a")
    view = await rested(engine, run_id)

    assert view.run.status is RunStatus.PAUSED
    assert statuses(view) == {
        "start": COMPLETED,
        "one": COMPLETED,
        "two": PAUSED,
        "a": COMPLETED,
        "b": PENDING,
    }


async def test_the_last_answer_makes_a_paused_run_running_while_a_branch_executes(engine, stage):
    definition = flow("start>one start>two one>a two>b", one=human(), two=human())
    run_id = (await paused(engine, definition)).run.id
    stage.hold("a")
    await engine.decide(run_id, APPROVE, {}, "ann", None, node_id="one")
    await stage.begun("a")

    answer = await engine.decide(run_id, APPROVE, {}, "ann", None, node_id="two")

    assert answer.run.status is RunStatus.RUNNING
    await stage.begun("b")
    stage.let_go("a")
    assert (await rested(engine, run_id)).run.status is RunStatus.COMPLETED


async def test_a_node_id_selects_the_pause(engine):
    definition = flow("start>one start>two", one=human(), two=human())
    run_id = (await paused(engine, definition)).run.id

    view = await answered(engine, run_id, APPROVE, node_id="two")

    assert (statuses(view)["one"], statuses(view)["two"]) == (PAUSED, COMPLETED)


async def test_a_node_id_that_the_run_lacks_is_not_found(engine):
    run_id = (await paused(engine, ASKS)).run.id

    with pytest.raises(NotFound, match="'nobody'"):
        await engine.decide(run_id, APPROVE, {}, "ann", None, node_id="nobody")


async def test_a_node_that_does_not_wait_is_a_conflict(engine):
    run_id = (await paused(engine, ASKS)).run.id

    with pytest.raises(Conflict, match="'a'"):
        await engine.decide(run_id, APPROVE, {}, "ann", None, node_id="a")


async def test_an_action_is_accepted_while_other_branches_still_run(engine, stage):
    stage.hold("b")
    run = await engine.start(await save(engine, flow("start>ask ask>a start>b", ask=human())), None)
    await stage.begun("b")

    await engine.decide(run.run.id, APPROVE, {}, "ann", None)
    await stage.begun("a")
    stage.let_go("b")

    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED


async def test_deciding_on_a_run_that_never_paused_is_a_conflict_that_names_its_state(engine):
    view = await engine.run(await save(engine, flow("start>end")), None)

    with pytest.raises(Conflict, match="COMPLETED"):
        await engine.decide(view.run.id, APPROVE, {}, "ann", None)


async def test_deciding_twice_is_a_conflict_that_says_who_was_first(engine):
    run_id = (await paused(engine, ASKS)).run.id
    await answered(engine, run_id, APPROVE, user="ann")

    with pytest.raises(Conflict, match="approved by ann"):
        await engine.decide(run_id, DECLINE, {}, "bob", None)

    assert (await engine.get_run(run_id)).run.status is RunStatus.COMPLETED


async def test_deciding_on_an_unknown_run_is_not_found(engine):
    with pytest.raises(NotFound):
        await engine.decide("made-up", APPROVE, {}, "ann", None)


async def test_of_fifty_simultaneous_answers_one_wins(engine, stage):
    run_id = (await paused(engine, ASKS)).run.id
    actions = [APPROVE, DECLINE, OVERRIDE]

    answers = await asyncio.gather(
        *(engine.decide(run_id, actions[n % 3], {"n": n}, f"user-{n}", None) for n in range(50)),
        return_exceptions=True,
    )
    await rested(engine, run_id)

    winners = [n for n, answer in enumerate(answers) if not isinstance(answer, Exception)]
    assert len(winners) == 1
    assert sum(isinstance(answer, Conflict) for answer in answers) == 49
    (pause,) = await engine.pause_history(run_id)
    assert pause.resume_user_id == f"user-{winners[0]}"
    assert pause.resume_inputs == {"n": winners[0]}
    assert stage.count("a") <= 1


FORM = {
    "type": "object",
    "properties": {"amount": {"type": "integer", "minimum": 1}},
    "required": ["amount"],
}


@pytest.mark.parametrize("inputs", [{}, {"amount": 0}, {"amount": "much"}])
@pytest.mark.parametrize("action", [APPROVE, OVERRIDE])
async def test_an_answer_that_does_not_fit_the_form_leaves_the_run_paused(engine, action, inputs):
    run_id = (await paused(engine, flow("start>ask ask>a", ask=human(form=FORM)))).run.id

    with pytest.raises(InvalidForm, match="amount"):
        await engine.decide(run_id, action, inputs, "ann", None)

    assert (await rested(engine, run_id)).run.status is RunStatus.PAUSED
    assert (await engine.pause_history(run_id))[0].is_open
    assert (await answered(engine, run_id, action, {"amount": 3})).run.status is RunStatus.COMPLETED


async def test_a_form_does_not_stand_in_the_way_of_declining(engine):
    run_id = (await paused(engine, flow("start>ask", ask=human(form=FORM)))).run.id

    assert (await answered(engine, run_id, DECLINE)).run.status is RunStatus.CANCELED


@pytest.mark.parametrize("action", [APPROVE, DECLINE, OVERRIDE])
async def test_inputs_that_json_cannot_say_are_refused_and_the_run_still_waits(engine, action):
    run_id = (await paused(engine, ASKS)).run.id

    with pytest.raises(InvalidForm, match="JSON"):
        await engine.decide(run_id, action, {"x": float("nan")}, "ann", None)

    assert (await rested(engine, run_id)).run.status is RunStatus.PAUSED


async def test_a_pause_that_holds_all_holds_back_every_node_not_yet_started(engine, stage):
    stage.hold("b")
    definition = flow("start>ask start>b b>c ask>a", ask=human(block_only_dependent_nodes=False))
    run = await engine.start(await save(engine, definition), None)
    await stage.begun("b")
    stage.let_go("b")

    view = await reaches(engine, run.run.id, RunStatus.PAUSED)
    assert statuses(view) == {"start": COMPLETED, "ask": PAUSED, "b": COMPLETED, "c": PENDING, "a": PENDING}

    end = await answered(engine, run.run.id, APPROVE)
    assert end.run.status is RunStatus.COMPLETED
    assert statuses(end)["c"] is COMPLETED


async def test_a_declined_pause_that_held_all_lets_the_others_go_on(engine, stage):
    stage.hold("b")
    definition = flow("start>ask start>b b>c ask>a", ask=human(block_only_dependent_nodes=False))
    run = await engine.start(await save(engine, definition), None)
    await stage.begun("b")
    stage.let_go("b")
    await reaches(engine, run.run.id, RunStatus.PAUSED)

    end = await answered(engine, run.run.id, DECLINE)

    assert end.run.status is RunStatus.CANCELED
    assert statuses(end) == {
        "start": COMPLETED,
        "ask": CANCELED,
        "a": CANCELED,
        "b": COMPLETED,
        "c": COMPLETED,
    }


async def test_a_failure_beside_a_pause_ends_the_run_once_it_is_answered(engine, stage):
    stage.on("b", ValueError("broken"))
    view = await paused(engine, flow("start>ask ask>a start>b", ask=human()))
    assert view.run.message is None

    end = await answered(engine, view.run.id, APPROVE)

    assert end.run.status is RunStatus.FAILED
    assert end.run.message == "Node 'b' failed: ValueError: broken"
    assert statuses(end)["a"] is COMPLETED


async def test_paused_runs_are_listed_newest_first_with_their_oldest_open_pause(engine):
    first = await paused(engine, ASKS)
    second = await paused(engine, flow("start>one start>two", one=human(), two=human()))
    await engine.run(await save(engine, flow("start>end")), None)

    listed = await engine.paused(limit=10)

    assert [view.run.id for view, _ in listed] == [second.run.id, first.run.id]
    assert all(pause.run_id == view.run.id for view, pause in listed)
    oldest = (await engine.pause_history(second.run.id))[-1]
    assert listed[0][1].id == oldest.id
    assert listed[1][0].version.definition["links"] == ASKS["links"]


async def test_paused_runs_come_in_pages(engine):
    runs = [(await paused(engine, ASKS)).run.id for _ in range(3)]

    pages = [await engine.paused(limit=2, offset=offset) for offset in (0, 2)]

    assert [[view.run.id for view, _ in page] for page in pages] == [[runs[2], runs[1]], [runs[0]]]


async def test_an_answered_run_is_no_longer_listed_as_paused(engine):
    view = await paused(engine, ASKS)
    await answered(engine, view.run.id, APPROVE)

    assert await engine.paused(limit=10) == []


async def test_a_run_that_never_paused_has_an_empty_history_and_an_unknown_one_none(engine):
    view = await engine.run(await save(engine, flow("start>end")), None)

    assert await engine.pause_history(view.run.id) == []
    with pytest.raises(NotFound):
        await engine.pause_history("made-up")


async def test_task_ids_do_not_change_over_a_resume(engine):
    view = await paused(engine, ASKS)

    end = await answered(engine, view.run.id, APPROVE)

    assert [task.id for task in end.tasks] == [task.id for task in view.tasks]


async def test_a_pause_survives_a_crash_unchanged(house):
    engine = await house.open()
    view = await paused(engine, ASKS, GIVEN)
    before = await engine.pause_history(view.run.id)

    engine = await house.restart(engine)
    await rested(engine, view.run.id)

    assert await engine.pause_history(view.run.id) == before
    assert statuses(await engine.get_run(view.run.id)) == statuses(view)
    assert (await answered(engine, view.run.id, APPROVE)).run.status is RunStatus.COMPLETED


async def test_completed_nodes_are_not_run_again_when_a_run_resumes(engine, stage):
    view = await paused(engine, flow("start>a a>ask ask>b", ask=human()))

    await answered(engine, view.run.id, APPROVE)

    assert (stage.count("a"), stage.count("b")) == (1, 1)


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
async def test_one_approved_and_one_declined_end_canceled_in_either_order(engine, order):
    definition = flow("start>one start>two one>a two>b", one=human(), two=human())
    run_id = (await paused(engine, definition)).run.id
    actions = {"one": APPROVE, "two": DECLINE}

    for node in order:
        end = await answered(engine, run_id, actions[node], node_id=node)

    assert end.run.status is RunStatus.CANCELED
    assert end.run.message == "Node 'two' was declined by ann"
    assert (statuses(end)["a"], statuses(end)["b"]) == (COMPLETED, CANCELED)


async def test_an_answer_too_large_to_hand_on_is_refused(engine):
    run_id = (await paused(engine, ASKS)).run.id

    with pytest.raises(InvalidForm, match="limit"):
        await engine.decide(run_id, APPROVE, {"x": "y" * (4 * 1024 * 1024)}, "ann", None)

    assert (await engine.get_run(run_id)).run.status is RunStatus.PAUSED


async def test_the_pauses_of_a_node_with_a_delay_before_it_are_found_in_time_order(engine, stage, clock):
    stage.hold("slow")
    definition = flow("start>slow slow>late start>early", early=human(), late=human(), slow=work())
    run = await engine.start(await save(engine, definition), None)
    await stage.begun("slow")
    await clock.advance(10)
    stage.let_go("slow")
    await reaches(engine, run.run.id, RunStatus.PAUSED)

    view = await answered(engine, run.run.id, APPROVE)

    assert (statuses(view)["early"], statuses(view)["late"]) == (COMPLETED, PAUSED)


async def test_an_answer_that_comes_while_the_run_goes_to_rest_loses_nothing(engine, stage, monkeypatch):
    """The last branch has just ended, and what it gave is on its way into the store together with the rest."""
    stage.hold("b")
    run = await engine.start(await save(engine, flow("start>ask ask>a start>b b>c", ask=human())), None)
    await stage.begun("b")
    journal, answers = engine._house.journal, []
    rest = journal.rest

    async def rest_after_the_answer(*arguments):
        if not answers:
            answers.append(await engine.decide(run.run.id, APPROVE, {}, "ann", None))
        return await rest(*arguments)

    monkeypatch.setattr(journal, "rest", rest_after_the_answer)
    stage.let_go("b")
    end = await rested(engine, run.run.id)

    assert len(answers) == 1
    assert end.run.status is RunStatus.COMPLETED
    assert set(statuses(end).values()) == {COMPLETED}
    assert end.outputs["c"] == {"by": "c"}
    assert set(stage.counts.values()) == {1}


def answered_on_the_way_to_rest(engine, monkeypatch, run, action):
    """Have somebody answer while what the last branch gave is on its way into the store together with the rest."""
    journal, answers = engine._house.journal, []
    rest = journal.rest

    async def rest_after_the_answer(*arguments):
        if not answers:
            answers.append(await engine.decide(run.run.id, action, {}, "ann", None))
        return await rest(*arguments)

    monkeypatch.setattr(journal, "rest", rest_after_the_answer)
    return answers


async def test_a_refusal_that_ends_a_run_on_its_way_to_rest_loses_nothing(engine, stage, monkeypatch):
    stage.hold("b")
    run = await engine.start(await save(engine, flow("start>ask ask>a start>b", ask=human())), None)
    await stage.begun("b")
    answers = answered_on_the_way_to_rest(engine, monkeypatch, run, DECLINE)
    stage.let_go("b")
    end = await rested(engine, run.run.id)

    assert len(answers) == 1
    assert end.run.status is RunStatus.CANCELED
    assert statuses(end) == {"start": COMPLETED, "ask": CANCELED, "a": CANCELED, "b": COMPLETED}
    assert stage.count("b") == 1


@pytest.mark.parametrize("action", [APPROVE, DECLINE])
async def test_what_ended_while_the_engine_closes_is_kept_though_somebody_answers(
    house, stage, monkeypatch, action
):
    engine = await house.open()
    stage.hold("b")
    run = await engine.start(await save(engine, flow("start>ask ask>a start>b", ask=human())), None)
    await stage.begun("b")
    answers = answered_on_the_way_to_rest(engine, monkeypatch, run, action)
    closing = asyncio.ensure_future(engine.close())
    await asyncio.sleep(0)
    stage.let_go("b")
    await closing

    engine = await house.open()
    end = await rested(engine, run.run.id)

    assert len(answers) == 1
    assert end.run.status is (RunStatus.COMPLETED if action is APPROVE else RunStatus.CANCELED)
    assert stage.count("b") == 1
