"""The workflows of a drill do what their samples say."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from rowel.cli.drill.checks.ends import EDITION
from rowel.cli.drill.history import Sample
from rowel.cli.drill.samples import (
    SAMPLES,
    WORKFLOWS,
    batch_order,
    dataset_of,
    definition_of,
    inputs_of,
    single_orders,
)
from rowel.core.parsing import parse_definition
from rowel.nodes.registry import load_registry


def definition(name: str) -> dict[str, Any]:
    return definition_of(name, trace_url="http://127.0.0.1:1", edition=7, chain_id="chain")


def nodes_of(definition: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes, those of bodies included."""
    for node in definition["nodes"]:
        yield node
        if body := node.get("config", {}).get("subworkflow"):
            yield from nodes_of(body)


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=lambda sample: sample.name)
def test_a_definition_is_lawful_and_does_what_its_sample_says(sample: Sample) -> None:
    found = definition(sample.name)
    parse_definition(found, load_registry())
    nodes = list(nodes_of(found))
    calls = {node["id"] for node in nodes if "url" in node["config"]}
    once = {node["id"] for node in nodes if node["config"].get("on_interrupt") == "fail"}
    asks = {node["id"] for node in nodes if "message" in node["config"]}
    declinable = {link["source_id"] for link in found["links"] if link.get("source_handle") == "declined"}
    assert (calls, once, asks, declinable) == (
        sample.calls,
        sample.calls_once,
        sample.asks,
        sample.declinable,
    )
    assert all(
        node["config"]["url"].startswith("http://127.0.0.1:1/") for node in nodes if node["id"] in calls
    )


@pytest.mark.parametrize("name", SAMPLES)
def test_every_definition_says_its_edition(name: str) -> None:
    (edition,) = [node for node in definition(name)["nodes"] if node["id"] == EDITION]
    assert edition["config"]["values"] == {EDITION: 7}


def test_there_is_a_definition_for_each_sample_and_no_other() -> None:
    assert {path.stem for path in WORKFLOWS.iterdir()} == set(SAMPLES)


def test_the_same_dice_order_the_same() -> None:
    assert list(single_orders(Random(5), "x", 50)) == list(single_orders(Random(5), "x", 50))
    assert {order.sample for order in single_orders(Random(5), "x", 500)} == set(SAMPLES) - {"rows"}


def test_keys_name_one_order_each() -> None:
    orders = [*single_orders(Random(5), "0", 50), *single_orders(Random(5), "1", 50)]
    assert len({order.key for order in orders}) == 100


def test_a_dataset_has_the_rows_of_its_order() -> None:
    order = batch_order("batch", 60)
    found = list(csv.DictReader(io.StringIO(dataset_of(order))))
    assert [(row["key"], row["wish"] == "refused") for row in found] == [
        (row.key, row.fails) for row in order.rows
    ]
    assert sum(row.fails for row in order.rows) == 2


def test_inputs_name_the_order() -> None:
    for order in single_orders(Random(5), "x", 50):
        assert json.loads(json.dumps(inputs_of(order, Random(1))))["input_node"]["key"] == order.key
