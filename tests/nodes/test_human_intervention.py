import json
from datetime import timedelta

import pytest

from rowel.core.outcomes import Pause
from rowel.nodes.builtin.human_intervention import HumanInterventionNode
from tests.support.contexts import NOW
from tests.support.nodes import build, outcome_of, problems_of

FORM = {"type": "object", "properties": {"grade": {"type": "integer"}}, "required": ["grade"]}


async def test_it_pauses_with_a_message_and_holds_only_what_depends_on_it():
    pause = await outcome_of(build(HumanInterventionNode), {"a": {"x": 1}})

    assert pause == Pause(message="Human intervention required")


async def test_the_message_is_plain_text_and_no_template():
    pause = await outcome_of(build(HumanInterventionNode, message="Look at {{a.x}}"), {"a": {"x": 1}})

    assert pause.message == "Look at {{a.x}}"


async def test_it_can_hold_back_every_node():
    node = build(HumanInterventionNode, block_only_dependent_nodes=False)

    assert (await outcome_of(node, {})).holds_all


async def test_it_names_who_is_asked():
    pause = await outcome_of(build(HumanInterventionNode, assignees=["ann", "bob"]), {})

    assert pause.assignees == ("ann", "bob")


@pytest.mark.parametrize("form", [FORM, json.dumps(FORM)])
async def test_its_form_is_a_json_schema_as_object_or_text(form):
    assert (await outcome_of(build(HumanInterventionNode, form=form), {})).form == FORM


async def test_a_time_limit_counts_from_now():
    pause = await outcome_of(build(HumanInterventionNode, timeout_s=90, on_timeout="decline"), {})

    assert pause.due_at == NOW + timedelta(seconds=90)
    assert pause.on_timeout == "decline"


async def test_a_pause_may_last_longer_than_any_attempt():
    pause = await outcome_of(build(HumanInterventionNode, timeout_s=30 * 86_400), {})

    assert pause.due_at == NOW + timedelta(days=30)
    assert pause.on_timeout == "fail"


async def test_without_a_time_limit_nothing_happens_by_itself():
    pause = await outcome_of(build(HumanInterventionNode, on_timeout="approve"), {})

    assert (pause.due_at, pause.on_timeout) == (None, None)


async def test_what_happens_in_the_end_may_be_written_in_any_case():
    pause = await outcome_of(build(HumanInterventionNode, timeout_s=1, on_timeout="APPROVE"), {})

    assert pause.on_timeout == "approve"


def test_a_declined_pause_has_a_handle_of_its_own():
    assert build(HumanInterventionNode).handles() == {"declined"}


def test_null_means_the_default():
    nulls = dict.fromkeys(
        ("message", "block_only_dependent_nodes", "form", "assignees", "timeout_s", "on_timeout")
    )

    assert problems_of(HumanInterventionNode, **nulls) == []


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"form": {"type": "nonsense"}}, "config"),
        ({"form": "{"}, "config"),
        ({"form": 5}, "config.form.dict[str,any]"),
        ({"message": 5}, "config.message"),
        ({"timeout_s": 0}, "config.timeout_s"),
        ({"timeout_s": 1e300}, "config.timeout_s"),
        ({"on_timeout": "explode"}, "config.on_timeout"),
        ({"assignees": "ann"}, "config.assignees"),
        ({"block_only_dependent_nodes": "maybe"}, "config.block_only_dependent_nodes"),
    ],
)
def test_what_can_not_work_is_a_problem(config, field):
    assert problems_of(HumanInterventionNode, **config)[0].split(":")[0] == field
