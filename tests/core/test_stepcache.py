"""Under which key the step cache keeps what a node gave."""

from __future__ import annotations

import pytest

from rowel.core.definition import NodeID, NodeSpec
from rowel.core.stepcache import step_key


def key(inputs, node_type="Work", node_id="a", **config):
    return step_key(NodeSpec(id=NodeID(node_id), title=node_id, node_type=node_type, config=config), inputs)


def test_equal_questions_to_equal_nodes_have_one_key_whatever_they_are_called():
    assert key({"x": {"n": 1, "m": 2}}, gives={}) == key({"x": {"m": 2, "n": 1}}, gives={}, node_id="b")


@pytest.mark.parametrize(
    "other",
    [
        key({"x": 2}, gives={}),
        key({"x": 1}, gives={"y": 1}),
        key({"x": 1}, gives={}, node_type="Other"),
        key({"x": 1}),
        key({"x": 1.5}, gives={}),
        key({"x": "1"}, gives={}),
    ],
)
def test_another_question_has_another_key(other):
    assert other != key({"x": 1}, gives={})


def test_how_a_node_is_run_is_no_part_of_the_question():
    how = {"cache_s": 5, "retry": {"attempts": 2}, "timeout_s": 1, "on_error": "fail", "on_interrupt": "fail"}

    assert key({"x": 1}, gives={}, **how) == key({"x": 1}, gives={})


def test_no_secret_can_be_read_from_a_key():
    assert "sk-secret" not in key({"x": "sk-secret"}, headers={"Authorization": "sk-secret"})


def test_what_is_no_json_has_no_key():
    assert key({"x": {1, 2}}) is None
