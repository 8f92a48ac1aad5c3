"""Random small workflows with a script for each node, and how they must end by the naive rule of planning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from rowel.core.errors import NodeFailed
from rowel.core.graph import Graph
from rowel.core.outcomes import Skip
from rowel.core.planner import Settled, State
from rowel.core.status import PauseAction, RunStatus, TaskStatus
from tests.support.definitions import link
from tests.support.flows import Definition, coalesce, flow, human, inline, loop, merge, of_type, static, work
from tests.support.oracle import plan

APPROVE, DECLINE = PauseAction.APPROVE, PauseAction.DECLINE
DECLINED = "declined"
#: Routes that always fire and routes that never do.
ALWAYS: Definition = {}
NEVER: Definition = {"conditions": [{"variable": "nowhere.x", "operator": "is_not_empty"}]}

STATUS = {
    State.COMPLETED: TaskStatus.COMPLETED,
    State.FAILED: TaskStatus.FAILED,
    State.CANCELED: TaskStatus.CANCELED,
    State.DECLINED: TaskStatus.CANCELED,
}


@dataclass(frozen=True)
class Role:
    """What one node of a play is, does, and what that makes of it."""

    node: Definition
    #: What its scripted node does, and that node's id: the role's own, or one in its body.
    act: Any = None
    state: State = State.COMPLETED
    routes: frozenset[str] | None = None
    #: How its pause is answered; None where it asks nobody.
    action: PauseAction | None = None
    holds_all: bool = False
    handles: tuple[str | None, ...] = (None,)


@dataclass(frozen=True)
class Play:
    """A workflow, what its scripted nodes do, and how its pauses are answered."""

    definition: Definition
    roles: Mapping[str, Role]

    @property
    def acts(self) -> dict[str, Any]:
        """{node id: what it does} of the scripted nodes, those in bodies included."""
        return {
            name: {"by": node_id} if role.act is None else role.act
            for node_id, role in self.roles.items()
            for name in (node_id, inside(node_id))
        }

    def action(self, path: str) -> PauseAction:
        """How the pause at this path is answered."""
        action = self.roles[path.split(".")[0]].action
        assert action is not None
        return action

    def ending(self, graph: Graph) -> tuple[RunStatus, dict[str, TaskStatus]]:
        """How the run and its nodes end."""
        facts: dict[str, Settled] = {}
        while True:
            found = plan(graph, facts)
            facts |= {node: Settled(State.CANCELED) for node in found.cancel}
            facts |= {node: self._begun(graph, node) for node in found.start}
            if not found.start:
                waiting = [node for node, fact in facts.items() if fact.state is State.PAUSED]
                if not waiting:
                    return found.status, {node: STATUS[fact.state] for node, fact in facts.items()}
                facts[waiting[0]] = self._ended(graph, waiting[0])

    def _begun(self, graph: Graph, node: str) -> Settled:
        role = self.roles.get(node)
        if role is not None and role.action is not None:
            return Settled(State.PAUSED, holds_all=role.holds_all)
        return self._ended(graph, node)

    def _ended(self, graph: Graph, node: str) -> Settled:
        role = self.roles.get(node, PLAIN)
        has_declined_link = DECLINED in graph.handles(node)
        if role.action is DECLINE and has_declined_link:
            return Settled(State.COMPLETED, frozenset({DECLINED}))
        if role.action is not None and role.action is not DECLINE and has_declined_link:
            return Settled(State.COMPLETED, graph.handles(node) - {DECLINED})
        return Settled(role.state, role.routes)


def inside(node_id: str) -> str:
    """The id of the scripted node in the body of a container."""
    return f"{node_id}_inside"


def _body(node_id: str, asks: bool = False) -> Definition:
    name = inside(node_id)
    return flow(f"start>{name} {name}>ask ask>end", ask=human() if asks else static(x=1))


PLAIN = Role(work())
BROKEN = NodeFailed("broken")
SURE = human()
STRICT = human(block_only_dependent_nodes=False)


def _router(yes: bool, no: bool) -> Role:
    routes = {"yes": ALWAYS if yes else NEVER, "no": ALWAYS if no else NEVER}
    fired = frozenset(name for name, fires in (("yes", yes), ("no", no)) if fires)
    return Role(of_type("RouterNode", route_map=routes), routes=fired, handles=("yes", "no"))


def _asking(node: Definition, action: PauseAction, **changes: Any) -> Role:
    return Role(
        node,
        action=action,
        state=State.DECLINED if action is DECLINE else State.COMPLETED,
        **changes,
    )


_WITH_DECLINED: tuple[str | None, ...] = (None, DECLINED)
#: What a node may be, given its id.
KINDS: dict[str, Callable[[str], Role]] = {
    "works": lambda _: PLAIN,
    "fails": lambda _: Role(work(), act=BROKEN, state=State.FAILED),
    "fails and goes on": lambda _: Role(work(on_error="continue"), act=BROKEN),
    "skips": lambda _: Role(work(), act=Skip(), state=State.CANCELED),
    "is pure": lambda _: Role(static(x=1)),
    "merges": lambda _: Role(merge()),
    "coalesces": lambda _: Role(coalesce()),
    "routes yes": lambda _: _router(yes=True, no=False),
    "routes both": lambda _: _router(yes=True, no=True),
    "routes nowhere": lambda _: _router(yes=False, no=False),
    "is approved": lambda _: _asking(SURE, APPROVE, handles=_WITH_DECLINED),
    "is overridden": lambda _: _asking(SURE, PauseAction.OVERRIDE, handles=_WITH_DECLINED),
    "is declined": lambda _: _asking(SURE, DECLINE, handles=_WITH_DECLINED),
    "holds all": lambda _: _asking(STRICT, APPROVE, holds_all=True),
    "loops": lambda node_id: Role(loop(_body(node_id), 2)),
    "loops and fails": lambda node_id: Role(loop(_body(node_id), 2), act=BROKEN, state=State.FAILED),
    "loops and asks": lambda node_id: _asking(loop(_body(node_id, asks=True), 2), APPROVE),
    "contains and is declined": lambda node_id: _asking(inline(_body(node_id, asks=True)), DECLINE),
}


@st.composite
def plays(draw: st.DrawFn, most: int = 7) -> Play:
    """Plays of up to `most` nodes behind the input node."""
    ids = [f"n{number}" for number in range(draw(st.integers(1, most)))]
    roles = {node_id: KINDS[draw(st.sampled_from(sorted(KINDS)))](node_id) for node_id in ids}
    links = []
    for number, target in enumerate(ids):
        sources = draw(st.sets(st.sampled_from(ids[:number]), max_size=3)) if number else set()
        for source in sorted(sources):
            links.append(link(source, target, draw(st.sampled_from(roles[source].handles))))
        if not sources or draw(st.booleans()):
            links.append(link("start", target))
    nodes = [{"id": "start", **of_type("InputNode")}]
    nodes += [{"id": node_id, **role.node} for node_id, role in roles.items()]
    return Play({"nodes": nodes, "links": links}, roles)
