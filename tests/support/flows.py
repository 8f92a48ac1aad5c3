"""Definitions drawn in a line of text, of built-in nodes and of scripted ones (`fake_nodes`)."""

from __future__ import annotations

from typing import Any

from tests.support.definitions import link

Definition = dict[str, Any]


def flow(picture: str, **nodes: Definition) -> Definition:
    """A definition from a picture: `a>b` is a link, `a.yes>b` one that leaves by the handle `yes`, `a` a node.

    `nodes` say what a name means. Of those not named there `start` is an input node, `end` an output node, and every
    other one a scripted `Work`.
    """
    names = dict.fromkeys(end.partition(".")[0] for word in picture.split() for end in word.split(">"))
    return {
        "nodes": [{"id": name, **(nodes.get(name) or _DEFAULTS.get(name) or work())} for name in names],
        "links": [_link(word) for word in picture.split() if ">" in word],
    }


def _link(word: str) -> Definition:
    source, target = word.split(">")
    node_id, _, handle = source.partition(".")
    return link(node_id, target, handle or None)


def of_type(node_type: str, **config: Any) -> Definition:
    return {"node_type": node_type, "config": config}


def work(**config: Any) -> Definition:
    """A scripted node with effects; `gives` are its outputs, the stage may say otherwise."""
    return of_type("Work", **config)


def given(**schema: Any) -> Definition:
    """An input node that asks for these fields, {field: type}."""
    return of_type("InputNode", output_schema=schema)


def output(**output_map: str) -> Definition:
    return of_type("OutputNode", output_map=output_map)


def static(**values: Any) -> Definition:
    return of_type("StaticValueNode", values=values)


def human(**config: Any) -> Definition:
    return of_type("HumanInterventionNode", **config)


def coalesce(*preferences: str) -> Definition:
    return of_type("CoalesceNode", preferences=list(preferences))


def merge() -> Definition:
    return of_type("MergeNode")


def router(**routes: tuple[str, Any]) -> Definition:
    """A router: each route fires when the variable equals the value."""
    return of_type(
        "RouterNode",
        route_map={
            name: {"conditions": [{"variable": variable, "operator": "equals", "value": value}]}
            for name, (variable, value) in routes.items()
        },
    )


def loop(body: Definition, times: int, **config: Any) -> Definition:
    return of_type("ForLoopNode", num_iterations=times, subworkflow=body, **config)


def inline(body: Definition, **config: Any) -> Definition:
    """A subworkflow with a body of its own."""
    return of_type("SubworkflowNode", subworkflow=body, **config)


def child(workflow_id: str, **config: Any) -> Definition:
    """A subworkflow that is another workflow, run as a child run."""
    return of_type("SubworkflowNode", workflow_id=workflow_id, **config)


def titled(node: Definition, title: str) -> Definition:
    return {**node, "title": title}


_DEFAULTS = {"start": of_type("InputNode"), "end": of_type("OutputNode")}
