"""The planner: sentences and pictures first, then any graph at all against the oracle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.graph import Graph
from rowel.core.planner import Decisions, Planner, Settled, State
from rowel.core.status import RunStatus
from tests.support.graphs import graph
from tests.support.oracle import ENDED, plan

DIAMOND = graph("a>b a>c b>d c>d")
ROUTER = graph("r.yes>x r.no>y x>end y>end", any_of="end")

DONE = Settled(State.COMPLETED)
FAILED = Settled(State.FAILED)
STARTED = Settled(State.STARTED)
HOLDING = Settled(State.PAUSED, holds_all=True)


def routes(*handles: str) -> frozenset[str]:
    return frozenset(handles)


def start(*nodes: str) -> Decisions:
    return Decisions(start=nodes)


def cancel(*nodes: str) -> Decisions:
    return Decisions(cancel=nodes)


NOTHING = Decisions()


# Sentences and pictures


def test_a_run_begins_with_the_nodes_that_depend_on_nothing():
    planner = Planner(graph("a>c b>c d"))

    assert planner.opening == start("a", "b", "d")
    assert planner.status is RunStatus.RUNNING


def test_a_node_starts_when_all_it_depends_on_has_completed():
    planner = Planner(DIAMOND)

    assert planner.complete("a") == start("b", "c")
    assert planner.complete("c") == NOTHING
    assert planner.complete("b") == start("d")
    assert planner.complete("d") == NOTHING
    assert planner.status is RunStatus.COMPLETED


def test_a_failed_node_cancels_what_depends_on_it():
    planner = Planner(DIAMOND)
    planner.complete("a")

    assert planner.fail("b") == cancel("d")
    assert planner.status is RunStatus.RUNNING
    planner.complete("c")
    assert planner.status is RunStatus.FAILED


def test_what_is_canceled_cancels_all_that_depends_on_it_in_turn():
    planner = Planner(graph("a>b b>c c>d a>e"))
    planner.complete("a")

    assert planner.fail("b") == cancel("c", "d")
    assert planner.state("e") is State.STARTED


def test_a_node_that_joins_all_dies_though_another_of_its_links_is_still_open():
    planner = Planner(graph("a>c b>c"))

    assert planner.fail("a") == cancel("c")
    assert planner.complete("b") == NOTHING


def test_a_node_that_joins_any_waits_for_all_and_needs_one():
    planner = Planner(graph("a>c b>c", any_of="c"))

    assert planner.fail("a") == NOTHING
    assert planner.complete("b") == start("c")


def test_a_node_that_joins_any_dies_when_nothing_lives():
    planner = Planner(graph("a>c b>c c>d", any_of="c"))
    planner.fail("a")

    assert planner.cancel("b") == cancel("c", "d")


def test_a_node_that_joins_any_and_depends_on_nothing_starts():
    assert Planner(graph("a", any_of="a")).opening == start("a")


def test_a_router_starts_the_route_it_took_and_cancels_the_others():
    planner = Planner(ROUTER)

    assert planner.complete("r", routes("yes")) == Decisions(start=("x",), cancel=("y",))
    assert planner.complete("x") == start("end")


def test_a_router_may_take_several_routes():
    assert Planner(ROUTER).complete("r", routes("yes", "no")) == start("x", "y")


def test_a_router_that_takes_no_route_cancels_all_behind_it_and_the_run_completes():
    planner = Planner(ROUTER)

    assert planner.complete("r", routes()) == cancel("x", "y", "end")
    assert planner.status is RunStatus.COMPLETED


def test_without_named_routes_every_handle_fires():
    assert Planner(ROUTER).complete("r") == start("x", "y")


def test_two_links_from_one_node_count_as_two():
    both = graph("r.yes>x r.no>x")
    either = graph("r.yes>x r.no>x", any_of="x")

    assert Planner(both).complete("r", routes("yes")) == cancel("x")
    assert Planner(both).complete("r", routes("yes", "no")) == start("x")
    assert Planner(either).complete("r", routes("yes")) == start("x")
    assert Planner(either).complete("r", routes()) == cancel("x")


def test_the_same_link_twice_starts_its_node_once():
    assert Planner(graph("a>b a>b")).complete("a") == start("b")
    assert Planner(graph("a>b a>b")).fail("a") == cancel("b")


def test_decisions_come_in_topological_order():
    planner = Planner(graph("a b c d a>d a>c a>b"))

    assert planner.complete("a") == start("b", "c", "d")
    assert Planner(graph("a b c d a>d a>c a>b")).fail("a") == cancel("b", "c", "d")


def test_a_node_that_had_nothing_to_pass_on_cancels_what_depends_on_it_and_the_run_completes():
    planner = Planner(graph("a>b"))

    assert planner.cancel("a") == cancel("b")
    assert planner.status is RunStatus.COMPLETED


def test_a_declined_node_makes_the_run_canceled():
    planner = Planner(graph("a>b c"))
    planner.pause("a")

    assert planner.cancel("a", declined=True) == cancel("b")
    assert planner.state("a") is State.DECLINED
    planner.complete("c")
    assert planner.status is RunStatus.CANCELED


def test_a_failure_outweighs_a_refusal():
    planner = Planner(graph("a b"))
    planner.cancel("a", declined=True)
    planner.fail("b")

    assert planner.status is RunStatus.FAILED


def test_a_paused_node_holds_back_what_depends_on_it_and_nothing_else():
    planner = Planner(graph("a>c b>d"))
    planner.pause("a")

    assert planner.has_pauses
    assert planner.status is RunStatus.RUNNING
    assert planner.complete("b") == start("d")
    planner.complete("d")
    assert planner.status is RunStatus.PAUSED
    assert planner.complete("a") == start("c")
    assert not planner.has_pauses


def test_a_run_with_a_failed_and_a_paused_branch_is_paused():
    planner = Planner(graph("a b"))
    planner.pause("a")
    planner.fail("b")

    assert planner.status is RunStatus.PAUSED
    planner.complete("a")
    assert planner.status is RunStatus.FAILED


def test_a_resumed_node_is_under_way_again():
    planner = Planner(graph("a>b"))
    planner.pause("a")

    assert planner.resume("a") == NOTHING
    assert planner.status is RunStatus.RUNNING
    assert planner.complete("a") == start("b")


def test_a_pause_that_holds_all_lets_nothing_else_start():
    planner = Planner(graph("a>c b>d d>e"))
    planner.pause("a", holds_all=True)

    assert planner.complete("b") == NOTHING
    assert planner.status is RunStatus.PAUSED
    assert planner.complete("a") == start("c", "d")


def test_what_was_under_way_goes_on_while_a_pause_holds_all():
    planner = Planner(graph("a b>d"))
    planner.pause("a", holds_all=True)

    assert planner.state("b") is State.STARTED
    assert planner.status is RunStatus.RUNNING
    assert planner.complete("b") == NOTHING
    assert planner.state("d") is State.WAITING


def test_a_pause_that_holds_all_does_not_keep_nodes_from_being_canceled():
    planner = Planner(graph("a b>c"))
    planner.pause("a", holds_all=True)

    assert planner.fail("b") == cancel("c")
    assert planner.complete("a") == NOTHING
    assert planner.status is RunStatus.FAILED


@pytest.mark.parametrize("answer", ["complete", "fail", "cancel", "resume"])
def test_every_answer_lets_the_held_go(answer):
    planner = Planner(graph("a b>c"))
    planner.pause("a", holds_all=True)
    planner.complete("b")

    assert getattr(planner, answer)("a") == start("c")


def test_of_two_pauses_that_hold_all_the_last_one_answered_lets_go():
    planner = Planner(graph("a>d b c>e"))
    planner.pause("a", holds_all=True)
    planner.pause("b", holds_all=True)
    planner.complete("c")

    assert planner.complete("a") == NOTHING
    assert planner.complete("b") == start("d", "e")


@pytest.mark.parametrize("state", [State.WAITING, State.COMPLETED, State.FAILED, State.CANCELED])
@pytest.mark.parametrize("event", ["complete", "fail", "cancel", "pause", "resume"])
def test_nothing_can_happen_to_a_node_that_is_not_under_way(state, event):
    planner = Planner(graph("a>b c"), {} if state is State.WAITING else {"b": Settled(state)})

    with pytest.raises(ValueError, match=f"node 'b' is not under way, it is {state.value}"):
        getattr(planner, event)("b")


def test_an_empty_graph_is_complete():
    planner = Planner(graph(""))

    assert planner.opening == NOTHING
    assert planner.status is RunStatus.COMPLETED


# What is known before


def test_what_has_completed_is_not_started_again():
    planner = Planner(DIAMOND, {"a": DONE, "b": DONE})

    assert planner.opening == start("c")
    assert planner.complete("c") == start("d")


def test_what_follows_from_what_is_known_is_decided_at_the_opening():
    planner = Planner(graph("a>b b>c d"), {"a": FAILED})

    assert planner.opening == Decisions(start=("d",), cancel=("b", "c"))
    assert planner.complete("d") == NOTHING
    assert planner.status is RunStatus.FAILED


def test_known_routes_count():
    opening = Planner(ROUTER, {"r": Settled(State.COMPLETED, routes("no"))}).opening

    assert opening == Decisions(start=("y",), cancel=("x",))


def test_a_known_pause_waits_on():
    planner = Planner(graph("a>b"), {"a": Settled(State.PAUSED)})

    assert planner.opening == NOTHING
    assert planner.status is RunStatus.PAUSED
    assert planner.complete("a") == start("b")


def test_a_known_refusal_still_makes_the_run_canceled():
    assert Planner(graph("a>b"), {"a": Settled(State.DECLINED)}).status is RunStatus.CANCELED


def test_a_known_pause_that_holds_all_holds_back_what_has_not_begun():
    planner = Planner(graph("a b>c"), {"a": HOLDING, "b": DONE})

    assert planner.opening == NOTHING
    assert planner.complete("a") == start("c")


def test_what_was_under_way_starts_again_whatever_is_held_back():
    planner = Planner(graph("a b>c d"), {"a": HOLDING, "b": STARTED})

    assert planner.opening == start("b")
    assert planner.complete("b") == NOTHING
    assert planner.complete("a") == start("c", "d")


def test_an_answered_pause_holds_nothing_any_more():
    known = {"a": Settled(State.COMPLETED, holds_all=True)}

    assert Planner(graph("a b"), known).opening == start("b")


def test_to_know_that_a_node_waits_is_to_know_nothing():
    assert Planner(graph("a>b"), {"a": Settled(State.WAITING)}).opening == start("a")


# Partial runs


def test_nodes_outside_the_scope_do_not_exist():
    planner = Planner(DIAMOND, scope=frozenset({"b", "d"}))

    assert list(planner.in_scope()) == ["b", "d"]
    assert planner.opening == start("b")
    assert planner.complete("b") == start("d")
    planner.complete("d")
    assert planner.status is RunStatus.COMPLETED


def test_what_is_known_of_nodes_outside_the_scope_changes_nothing():
    scope = frozenset({"d"})
    known = {"b": FAILED, "c": HOLDING}

    assert Planner(DIAMOND, known, scope).opening == start("d")


def test_given_outputs_stand_for_a_node_and_all_before_it():
    planner = Planner(DIAMOND, {"b": DONE}, DIAMOND.ancestors("d", stop_at=frozenset({"b"})) | {"d"})

    assert planner.opening == start("a")
    assert planner.complete("a") == start("c")
    assert planner.complete("c") == start("d")


# Any graph at all


@dataclass(frozen=True)
class Case:
    """A graph, what each of its nodes does in turn until it ends, and what is known at the beginning."""

    graph: Graph
    scripts: Mapping[str, tuple[Settled, ...]]
    known: Mapping[str, Settled]
    scope: frozenset[str] | None

    def planner(self, known: Mapping[str, Settled] | None = None) -> Planner:
        return Planner(self.graph, self.known if known is None else known, self.scope)


HANDLES = ["", "yes", "no"]
ENDS = st.one_of(
    st.just(DONE),
    st.sets(st.sampled_from(HANDLES)).map(lambda fired: Settled(State.COMPLETED, frozenset(fired))),
    st.sampled_from([Settled(state) for state in ENDED if state is not State.COMPLETED]),
)
WAITS = st.builds(Settled, st.just(State.PAUSED), holds_all=st.booleans())
SCRIPTS = st.tuples(st.lists(st.one_of(WAITS, st.just(STARTED)), max_size=3), ENDS).map(
    lambda script: (*script[0], script[1])
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    size = draw(st.integers(1, 9))
    names = [f"n{number}" for number in range(size)]
    pairs = [(source, target) for target in range(size) for source in range(target)]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=16)) if pairs else []
    links = [f"n{a}.{draw(st.sampled_from(HANDLES))}>n{b}" for a, b in chosen]
    drawn = graph(" ".join([*names, *links]), any_of=" ".join(draw(st.sets(st.sampled_from(names)))))
    return Case(
        graph=drawn,
        scripts={name: draw(SCRIPTS) for name in names},
        known=draw(
            st.dictionaries(st.sampled_from(names), st.one_of(ENDS, WAITS, st.just(STARTED)), max_size=3)
        ),
        scope=draw(st.none() | st.frozensets(st.sampled_from(names))),
    )


@dataclass
class Play:
    """One run of a case: what the planner decided is compared with the oracle at every step."""

    case: Case
    planner: Planner
    #: Everything known of nodes that are no longer waiting.
    facts: dict[str, Settled]
    #: How far each node is in its script.
    turns: dict[str, int] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, case: Case) -> Play:
        inside = {node for node in case.known if case.scope is None or node in case.scope}
        play = cls(case, case.planner(), {node: case.known[node] for node in inside})
        again = {node for node, fact in play.facts.items() if fact.state is State.STARTED}
        play.started += again
        opening = play.planner.opening
        assert again <= set(opening.start)
        play.take(Decisions(tuple(node for node in opening.start if node not in again), opening.cancel))
        return play

    def take(self, decisions: Decisions) -> None:
        expected = plan(self.case.graph, self.facts, self.case.scope)
        assert (set(decisions.start), set(decisions.cancel)) == (expected.start, expected.cancel)
        assert self.planner.status is expected.status
        self.facts |= dict.fromkeys(decisions.cancel, Settled(State.CANCELED))
        for node in decisions.start:
            assert self.parents(node) <= set(ENDED)
            assert node not in self.started
            self.started.append(node)
            self.facts[node] = STARTED
        assert {node: self.planner.state(node) for node in self.facts} == self.states()

    def parents(self, node: str) -> set[State]:
        graph, scope = self.case.graph, self.case.scope
        sources = {graph.specs[edge.node].id for edge in graph.incoming[graph.index[node]]}
        return {self.planner.state(source) for source in sources if scope is None or source in scope}

    def states(self) -> dict[str, State]:
        return {node: fact.state for node, fact in self.facts.items()}

    def open_nodes(self) -> list[str]:
        return sorted(node for node, fact in self.facts.items() if fact.state not in ENDED)

    def step(self, node: str) -> None:
        """Let the node take the next turn of its script."""
        turn = self.turns.get(node, 0)
        self.turns[node] = turn + 1
        fact = self.case.scripts[node][turn]
        before, self.facts[node] = self.facts[node], fact
        self.take(self.tell(node, before, fact))

    def tell(self, node: str, before: Settled, fact: Settled) -> Decisions:
        match fact.state:
            case State.COMPLETED:
                return self.planner.complete(node, fact.routes)
            case State.FAILED:
                return self.planner.fail(node)
            case State.CANCELED:
                return self.planner.cancel(node)
            case State.DECLINED:
                return self.planner.cancel(node, declined=True)
            case State.STARTED:
                return self.planner.resume(node)
        # A pause doesn't turn into one that holds less; it is answered first.
        if before.holds_all and not fact.holds_all:
            self.facts[node] = replace(fact, holds_all=True)
        self.planner.pause(node, holds_all=fact.holds_all)
        return NOTHING

    def to_the_end(self, data: st.DataObject) -> Iterator[None]:
        while nodes := self.open_nodes():
            self.step(data.draw(st.sampled_from(nodes)))
            yield


def played(case: Case, data: st.DataObject) -> Play:
    play = Play.of(case)
    for _ in play.to_the_end(data):
        pass
    return play


@given(cases(), st.data())
def test_every_decision_is_the_oracles(case, data):
    play = played(case, data)

    inside = {spec.id for spec in case.graph.specs if case.scope is None or spec.id in case.scope}
    assert set(play.facts) == inside
    assert plan(case.graph, play.facts, case.scope).status is play.planner.status


@given(cases(), st.data())
def test_the_end_does_not_depend_on_the_order_of_completions(case, data):
    assert played(case, data).states() == played(case, data).states()


@given(cases(), st.data())
def test_planning_again_from_what_is_known_changes_nothing(case, data):
    play = Play.of(case)
    for _ in play.to_the_end(data):
        again = case.planner(play.facts)
        assert set(again.opening.start) == {
            node for node, fact in play.facts.items() if fact.state is State.STARTED
        }
        assert again.opening.cancel == ()
        assert again.status is play.planner.status
        assert [again.state(spec.id) for spec in case.graph.specs] == [
            play.planner.state(spec.id) for spec in case.graph.specs
        ]


@given(cases(), st.data())
def test_a_run_taken_up_in_the_middle_ends_as_if_nothing_had_happened(case, data):
    play = Play.of(case)
    for _ in play.to_the_end(data):
        if data.draw(st.booleans()):
            play.planner = case.planner(play.facts)

    assert play.states() == played(case, data).states()


@given(cases(), st.data())
def test_a_run_that_forgot_what_was_under_way_ends_the_same(case, data):
    end = played(case, data).states()
    play = Play.of(case)
    while nodes := play.open_nodes():
        play.step(data.draw(st.sampled_from(nodes)))
        if data.draw(st.booleans()):
            ended = {node: fact for node, fact in play.facts.items() if fact.state in ENDED}
            play = Play.of(replace(case, known={**case.known, **ended}))

    assert play.states() == end


# Size


class Visits(tuple):
    """The links of one node; reading them is counted."""

    read = 0

    def __iter__(self):
        Visits.read += len(self)
        return super().__iter__()


def counted(drawn: Graph) -> Graph:
    Visits.read = 0
    return replace(
        drawn, outgoing=tuple(map(Visits, drawn.outgoing)), incoming=tuple(map(Visits, drawn.incoming))
    )


def run_through(planner: Planner) -> None:
    ready = list(planner.opening.start)
    while ready:
        ready += planner.complete(ready.pop()).start


def layers(width: int, depth: int) -> str:
    """Each node of a layer depends on three of the layer before."""
    return " ".join(
        f"n{layer}-{(place + step) % width}>n{layer + 1}-{place}"
        for layer in range(depth)
        for place in range(width)
        for step in range(3)
    )


@pytest.mark.parametrize(
    ("picture", "nodes"),
    [
        (layers(100, 99), 10_000),
        (" ".join(f"n{number}>n{number + 1}" for number in range(2999)), 3000),
        (" ".join(f"a>n{number} n{number}>z" for number in range(4000)), 4002),
    ],
    ids=["layers", "chain", "wide"],
)
def test_a_whole_run_reads_each_link_twice(picture, nodes):
    drawn = counted(graph(picture))
    planner = Planner(drawn)
    run_through(planner)

    assert len(drawn) == nodes
    assert planner.status is RunStatus.COMPLETED
    assert Visits.read == 2 * picture.count(">")


def test_a_failure_at_the_head_of_a_long_chain_cancels_it_whole():
    drawn = counted(graph(" ".join(f"n{number}>n{number + 1}" for number in range(2999))))
    planner = Planner(drawn)

    assert len(planner.fail("n0").cancel) == 2999
    assert Visits.read == 2 * 2999


def test_a_long_chain_is_taken_up_from_what_is_known():
    drawn = counted(graph(" ".join(f"n{number}>n{number + 1}" for number in range(2999))))

    assert len(Planner(drawn, {"n0": FAILED}).opening.cancel) == 2999
    assert Planner(drawn, {f"n{number}": DONE for number in range(2999)}).opening == start("n2999")
    assert Visits.read == 4 * 2999
