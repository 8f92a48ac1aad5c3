from __future__ import annotations

from typing import Any

import pytest

from rowel.core.errors import NodeFailed
from rowel.nodes.builtin.best_of_n import BestOfNNode, read_rating
from tests.support.nodes import build, outcome_of, problems_of
from tests.support.providers import Call, Reply

RATE = "Rate this. Respond with only a number."
CONFIG: dict[str, Any] = {
    "llm_info": {"model": "gpt-4o", "temperature": 0.7, "top_p": 0.9, "max_tokens": 100},
    "system_message": "You tell jokes.",
    "user_message": "About {{input.topic}}",
    "rating_prompt": RATE,
}
INPUTS = {"input": {"topic": "tea"}}


class Comedian:
    """Tells the jokes of a list in turn, and rates each by a table."""

    def __init__(self, ratings: dict[str, Any]) -> None:
        self.jokes = list(ratings)
        self.ratings = ratings

    def __call__(self, call: Call) -> Any:
        return self.ratings[call.user] if call.system == RATE else self.jokes.pop(0)


def is_rating(call: Call) -> bool:
    return call.system == RATE


async def outputs_of(context, **config: Any) -> Any:
    return (await outcome_of(build(BestOfNNode, **{**CONFIG, **config}), INPUTS, context)).outputs


async def test_the_best_answer_is_kept(context, providers):
    providers.answer(Comedian({"so so": "5", "great": "9", "bad": "2"}))

    assert await outputs_of(context, samples=3) == {"output": "great"}


async def test_of_equal_ratings_the_first_answer_wins(context, providers):
    providers.answer(lambda call: "7" if is_rating(call) else call.headers["idempotency-key"])

    assert await outputs_of(context, samples=4) == {"output": "run-1.node.sample-1"}


async def test_a_rating_without_a_number_comes_last(context, providers):
    providers.answer(Comedian({"a": "can't say", "b": "0", "c": Reply(status=400)}))

    assert await outputs_of(context, samples=3) == {"output": "b"}


async def test_answers_are_rated_by_the_same_model_with_settings_of_their_own(context, providers):
    await outputs_of(context, samples=2, rating_temperature=0.3, rating_max_tokens=8)

    sample = next(call.json for call in providers.asked if not is_rating(call))
    rating = next(call.json for call in providers.asked if is_rating(call))
    assert (sample["temperature"], sample["max_tokens"], sample["top_p"]) == (0.7, 100, 0.9)
    assert (rating["model"], rating["temperature"], rating["max_tokens"]) == ("gpt-4o", 0.3, 8)
    assert "top_p" not in rating
    assert rating["messages"] == [
        {"role": "system", "content": RATE},
        {"role": "user", "content": "Answer to: About tea"},
    ]


async def test_every_call_has_a_key_of_its_own_that_stays_the_same(context, providers):
    await outputs_of(context, samples=2)

    keys = {call.headers["idempotency-key"] for call in providers.asked}
    assert keys == {f"run-1.node.{call}" for call in ("sample-1", "sample-2", "rating-1", "rating-2")}


async def test_all_calls_are_paid_for(context, providers):
    await outputs_of(context, samples=3)

    assert context.usage.requests == 6
    assert context.usage.input_tokens == 6 * 11


async def test_one_sample_needs_no_rating(context, providers):
    assert await outputs_of(context, samples=1) == {"output": "Answer to: About tea"}
    assert len(providers.asked) == 1


async def test_samples_are_asked_for_at_once(context, providers):
    held = providers.held("7")

    def answer_when_all_are_there(call: Call) -> Any:
        if len(providers.asked) == 3:
            providers.released.set()
        return held(call)

    providers.answer(answer_when_all_are_there)

    assert await outputs_of(context, samples=3) == {"output": "7"}


async def test_the_outputs_fit_the_declared_schema(context, providers):
    outputs = await outputs_of(context, samples=2, output_schema={"initial_joke": "string"})

    assert outputs == {"initial_joke": "Answer to: About tea"}
    rating = next(call for call in providers.asked if is_rating(call))
    assert rating.user == "Answer to: About tea"
    assert "response_format" not in rating.json


async def test_an_answer_of_several_fields_is_rated_as_json(context, providers):
    await outputs_of(context, samples=2, output_schema={"joke": "string", "laughs": "int"})

    assert (
        next(call.user for call in providers.asked if is_rating(call))
        == '{"joke":"Answer to: About tea","laughs":1}'
    )


async def test_an_answer_that_can_not_be_used_is_left_out(context, providers):
    jokes = iter(["not json", '{"joke": "ha", "laughs": 1}', "nor this"])
    providers.answer(lambda call: "5" if is_rating(call) else next(jokes))

    outputs = await outputs_of(context, samples=3, output_schema={"joke": "string", "laughs": "int"})

    assert outputs == {"joke": "ha", "laughs": 1}
    assert len([line for line in context.logs if "left out" in line]) == 2


async def test_it_fails_when_no_answer_can_be_used(context, providers):
    providers.answer(Reply(status=429, headers={"Retry-After": "100"}))

    with pytest.raises(NodeFailed, match="HTTP 429") as failed:
        await outputs_of(context, samples=3)

    assert failed.value.retryable
    assert not any(is_rating(call) for call in providers.asked)


async def test_ratings_are_told_to_whoever_looks(context, providers):
    providers.answer(lambda call: ("none" if call.user == "x" else "8.5/10") if is_rating(call) else "joke")

    await outputs_of(context, samples=2)

    assert context.logs == ["ratings: 8.5, 8.5"]


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        ("7", 7),
        (" 8.5\n", 8.5),
        ("Rating: 9", 9),
        ("8/10", 8),
        ("I'd say 6.5 out of 10", 6.5),
        ("On a scale from 0 to 10 it is 4/10.", 4),
        ("-3", -3),
        ("**10**", 10),
        ("", float("-inf")),
        ("ten", float("-inf")),
    ],
)
def test_a_rating_is_the_number_in_its_text(text, rating):
    assert read_rating(text) == rating


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"samples": 0}, "config.samples"),
        ({"samples": 51}, "config.samples"),
        ({"rating_max_tokens": 0}, "config.rating_max_tokens"),
        ({"rating_prompt": "{{ x"}, "config.rating_prompt"),
        ({"user_message": "{{ x"}, "config.user_message"),
        ({"llm_info": {}}, "config.llm_info.model"),
    ],
)
def test_a_config_that_can_not_work_is_refused(changes, problem):
    assert any(problem in found for found in problems_of(BestOfNNode, **{**CONFIG, **changes}))


def test_it_says_what_it_is():
    assert BestOfNNode.touches_outside
    assert BestOfNNode.default_timeout_s == 600
