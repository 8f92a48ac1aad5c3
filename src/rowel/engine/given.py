"""Outputs that people give in the place of nodes: to a partial run, or to a rerun as edits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rowel.core import jsontext
from rowel.core.errors import Invalid, InvalidInputs, NotFound
from rowel.core.outcomes import Fields
from rowel.core.records import Run, Task
from rowel.core.status import TaskStatus
from rowel.engine.programs import Program
from rowel.engine.progress import approved_routes


def checked_outputs(program: Program, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The given outputs, each with the handles that they fire. `where` is what the request calls them."""
    checked: dict[str, Any] = {}
    for node_id, outputs in given.items():
        check_node(program, node_id, where)
        if not isinstance(outputs, Mapping):
            raise InvalidInputs(f"{where}: the outputs of node {node_id!r} must be an object.")
        check_json(where, outputs)
        routes = routes_of(program, node_id, outputs)
        checked[node_id] = {"outputs": outputs, "routes": None if routes is None else sorted(routes)}
    return checked


def routes_of(program: Program, node_id: str, outputs: Fields) -> frozenset[str] | None:
    """The handles that given outputs fire: of a router those that hold data, of other nodes all but refusals."""
    handles = program.graph.handles(node_id)
    if program.traits[node_id].routes:
        return frozenset(handle for handle in handles if outputs.get(handle) is not None)
    return approved_routes(handles)


def check_node(program: Program, node_id: str, where: str) -> None:
    """Raise `NotFound` where the workflow has no such node, `Invalid` where it lies in a container's body."""
    if node_id in program.graph:
        return
    container = _container_of(program, node_id)
    if container is None:
        raise NotFound(f"{where}: the workflow has no node {node_id[:128]!r}.")
    raise Invalid(
        f"{where}: node {node_id[:128]!r} lies in the body of {container!r}, which runs as a whole; name {container!r}."
    )


def _container_of(program: Program, node_id: str) -> str | None:
    """The top-level container that holds this node, which may be named by a task's path."""
    first, dot, _ = node_id.partition(".")
    if dot and first in program.inner:
        return first
    return next((name for name, body in program.inner.items() if node_id in set(_ids(body))), None)


def _ids(program: Program) -> Iterator[str]:
    yield from program.graph.index
    for body in program.inner.values():
        yield from _ids(body)


def check_json(where: str, given: Fields) -> None:
    """Raise `InvalidInputs` where this can't be written as JSON and read again."""
    try:
        jsontext.dump(given)
    except Invalid as error:
        raise InvalidInputs(f"{where}: {error.message}") from error


def scope_of(program: Program, node_id: str, given: frozenset[str]) -> frozenset[str]:
    """The nodes of a partial run of `node_id`: it, and those before it up to given ones."""
    check_node(program, node_id, "node_id")
    if node_id in given:
        return frozenset({node_id})
    return program.graph.ancestors(node_id, stop_at=given) | {node_id}


def given_tasks(run: Run, given: Mapping[str, Any]) -> list[Task]:
    """Tasks that are born COMPLETED, of what `checked_outputs` made."""
    return [
        Task(
            run_id=run.id,
            path=node_id,
            node_id=node_id,
            status=TaskStatus.COMPLETED,
            outputs=outputs["outputs"],
            routes=None if outputs["routes"] is None else frozenset(outputs["routes"]),
            start_time=run.start_time,
            end_time=run.start_time,
        )
        for node_id, outputs in given.items()
    ]
