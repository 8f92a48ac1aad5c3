import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from rowel.core.definition import NodeSpec
from rowel.core.errors import Invalid, InvalidDefinition, Problem, RowelError
from rowel.core.traits import Traits
from rowel.nodes import registry as registry_module
from rowel.nodes.base import Config, Node
from rowel.nodes.palette import title_of
from rowel.nodes.registry import Registry, find_builtin_types, load_registry


class DelayConfig(Config):
    seconds: int = Field(ge=0)
    note: str = "none"
    has_fixed_output: bool = True


class DelayNode(Node[DelayConfig]):
    """Waits a while.

    And then goes on.
    """

    category = "Time"
    routes = True
    touches_outside = True

    def __init__(self, spec, config):
        super().__init__(spec, config)
        if config.seconds > 1000:
            raise Invalid("seconds: nobody waits that long")

    @classmethod
    def problems(cls, spec, config):
        if config.seconds == 13:
            yield Problem("is an unlucky number", spec.id, "config.seconds")

    @classmethod
    def template_fields(cls):
        return ("note",)

    def handles(self):
        return frozenset({"late"})


class NapNode(Node[Config]):
    """Another type of the same category."""

    category = "Time"
    join = "any"


def spec(node_type="DelayNode", **config):
    return NodeSpec(id="n", title="n", node_type=node_type, config=config)


@pytest.fixture
def registry():
    return Registry([DelayNode, NapNode])


class TestTypes:
    def test_a_type_is_known_by_the_name_of_its_class(self, registry):
        assert registry.names == ("DelayNode", "NapNode")
        assert registry.traits("DelayNode") == Traits(routes=True, touches_outside=True)
        assert registry.traits("NapNode") == Traits(join="any")

    def test_an_unknown_type_has_no_traits(self, registry):
        assert registry.traits("Nope") is None

    def test_two_types_of_one_name_are_an_error_at_start(self):
        other = type("NapNode", (Node,), {"__module__": "elsewhere"})

        with pytest.raises(
            RowelError, match=r"two node types are called NapNode: those in .*test_registry and elsewhere"
        ):
            Registry([NapNode, other])

    def test_one_type_offered_twice_is_no_error(self):
        assert Registry([NapNode, NapNode]).names == ("NapNode",)


class TestProblems:
    def test_a_config_that_works_has_none(self, registry):
        assert registry.problems(spec(seconds=1)) == []

    def test_wrong_fields_are_told_by_their_place(self, registry):
        found = registry.problems(spec(seconds=-1, note=[], retry={"attempts": 0}))

        assert {problem.field for problem in found} == {
            "config.seconds",
            "config.note",
            "config.retry.attempts",
        }
        assert {problem.node_id for problem in found} == {"n"}

    def test_a_missing_field_is_told(self, registry):
        assert registry.problems(spec()) == [Problem("Field required", "n", "config.seconds")]

    def test_what_the_type_itself_finds_is_told(self, registry):
        assert registry.problems(spec(seconds=13)) == [Problem("is an unlucky number", "n", "config.seconds")]

    def test_what_making_the_node_refuses_is_told(self, registry):
        found = registry.problems(spec(seconds=2000))

        assert found == [Problem("seconds: nobody waits that long", "n", "config")]

    def test_null_is_as_good_as_absent(self, registry):
        assert registry.problems(spec(seconds=1, note=None, retry=None, enforce_schema=None)) == []
        assert registry.problems(spec(seconds=None)) == [Problem("Field required", "n", "config.seconds")]

    def test_unknown_fields_are_kept(self, registry):
        node = registry.build(spec(seconds=1, color="red", nothing=None))

        assert node.config.model_extra == {"color": "red", "nothing": None}

    def test_no_value_of_the_user_is_repeated_in_a_message(self, registry):
        [problem] = registry.problems(spec(seconds="my secret"))

        assert "secret" not in problem.message


class TestBuilding:
    def test_a_node_has_its_spec_and_its_config(self, registry):
        found = spec(seconds=5)

        node = registry.build(found)

        assert isinstance(node, DelayNode)
        assert node.spec is found
        assert node.config.seconds == 5

    @pytest.mark.parametrize("wrong", [spec("Nope"), spec(), spec(seconds=13), spec(seconds=2000)])
    def test_what_has_problems_is_not_built(self, registry, wrong):
        with pytest.raises(InvalidDefinition) as caught:
            registry.build(wrong)

        assert caught.value.problems == tuple(registry.problems(wrong))

    def test_handles_are_those_of_the_node(self, registry):
        assert registry.handles(spec(seconds=1)) == {"late"}

    @pytest.mark.parametrize("silent", [spec("NapNode"), spec(), spec("Nope")])
    def test_a_node_without_a_say_or_with_a_wrong_config_has_no_handles(self, registry, silent):
        assert registry.handles(silent) is None


class TestDescription:
    def test_types_are_grouped_by_category(self, registry):
        assert {
            category: [item["name"] for item in items] for category, items in registry.describe().items()
        } == {"Time": ["DelayNode", "NapNode"]}

    def test_a_type_has_what_the_references_clients_read(self, registry):
        described = registry.describe()["Time"][0]

        assert described["name"] == "DelayNode"
        assert described["category"] == "Time"
        assert described["has_fixed_output"] is True
        assert described["visual_tag"]["acronym"] == "D"
        assert described["visual_tag"]["color"].startswith("#")
        assert described["input"]["type"] == described["output"]["type"] == "object"
        assert described["config"]["title"] == "Delay"
        assert described["config"]["properties"]["seconds"]["minimum"] == 0
        assert described["config"]["required"] == ["seconds"]

    def test_a_type_says_what_it_is_for_and_how_it_behaves(self, registry):
        described = registry.describe()["Time"][0]

        assert described["title"] == "Delay"
        assert described["description"] == "Waits a while.\n\nAnd then goes on."
        assert described["template_fields"] == ["note"]
        assert described["traits"]["routes"] is True
        assert described["traits"]["join"] == "all"

    def test_outputs_are_not_fixed_unless_the_type_says_so(self, registry):
        assert registry.describe()["Time"][1]["has_fixed_output"] is False

    @pytest.mark.parametrize(
        ("name", "title"),
        [
            ("SingleLLMCallNode", "Single LLM Call"),
            ("HTTPRequestNode", "HTTP Request"),
            ("BestOfNNode", "Best Of N"),
            ("Node", "Node"),
        ],
    )
    def test_titles_are_the_words_of_the_name(self, name, title):
        assert title_of(name) == title


class TestDiscovery:
    @pytest.fixture
    def package(self, tmp_path, monkeypatch, request):
        """Makes a package of node types from {module: source}."""

        def make(**modules):
            name = f"made_for_{abs(hash(request.node.name))}"
            folder = tmp_path / name
            folder.mkdir()
            (folder / "__init__.py").write_text("")
            for module, source in modules.items():
                (folder / f"{module}.py").write_text(f"from rowel.nodes.base import Config, Node\n{source}")
            monkeypatch.syspath_prepend(tmp_path)
            return __import__(name)

        return make

    def test_each_module_gives_its_one_type(self, package):
        found = find_builtin_types(
            package(zebra="class ZebraNode(Node[Config]): pass", ant="class AntNode(Node[Config]): pass")
        )

        assert [node_type.__name__ for node_type in found] == ["AntNode", "ZebraNode"]

    def test_a_module_without_a_type_is_an_error(self, package):
        with pytest.raises(RowelError, match=r"\.empty must define exactly one node type, and defines 0"):
            list(find_builtin_types(package(empty="")))

    def test_a_module_with_two_types_is_an_error(self, package):
        source = "class ANode(Node[Config]): pass\nclass BNode(Node[Config]): pass"

        with pytest.raises(RowelError, match=r"\.two must define exactly one node type, and defines 2"):
            list(find_builtin_types(package(two=source)))

    def test_types_that_a_module_imports_are_not_its_own(self, package):
        source = "from rowel.nodes.builtin.merge import MergeNode\nclass ANode(Node[Config]): pass"

        assert [node_type.__name__ for node_type in find_builtin_types(package(one=source))] == ["ANode"]


class TestOfferedTypes:
    @pytest.fixture
    def offer(self, monkeypatch):
        """Pretends that an installed package offers these objects as node types, and loads all types anew."""

        def load(*values):
            offered = [EntryPoint(name="x", value=value, group="rowel.nodes") for value in values]
            monkeypatch.setattr(registry_module, "entry_points", lambda group: offered)
            return load_registry.__wrapped__()

        return load

    def test_another_package_may_offer_a_type(self, offer):
        assert offer(f"{__name__}:NapNode").traits("NapNode") == Traits(join="any")

    def test_what_can_not_be_loaded_is_named(self, offer):
        with pytest.raises(RowelError, match="'no_such_package:X' can't be loaded"):
            offer("no_such_package:X")

    @pytest.mark.parametrize("value", ["json:dumps", "rowel.nodes.base:Node", "rowel.nodes.base:Config"])
    def test_what_is_no_node_type_is_refused(self, offer, value):
        with pytest.raises(RowelError, match="is not a subclass"):
            offer(value)


class TestBuiltinTypes:
    def test_the_types_that_shape_the_flow_are_there(self):
        traits = {name: load_registry().traits(name) for name in load_registry().names}

        assert [name for name in traits if traits[name].is_input] == ["InputNode"]
        assert [name for name in traits if traits[name].is_output] == ["OutputNode"]
        assert [name for name in traits if traits[name].routes] == ["RouterNode"]
        assert [name for name in traits if traits[name].join == "any"] == ["CoalesceNode"]
        assert {name for name in traits if traits[name].contains} == {"ForLoopNode", "SubworkflowNode"}

    @pytest.mark.parametrize("name", ["Input", "Output", "StaticValue", "Router", "Merge", "Coalesce"])
    def test_those_that_only_move_data_are_pure(self, name):
        assert load_registry().traits(f"{name}Node").pure

    def test_what_touches_the_outside_is_not_pure(self):
        traits = [load_registry().traits(name) for name in load_registry().names]

        assert not [found for found in traits if found.pure and found.touches_outside]

    def test_each_says_what_it_is_for(self):
        for described in (item for items in load_registry().describe().values() for item in items):
            assert len(described["description"]) > 20, described["name"]

    def test_finding_them_loads_nothing_heavy(self):
        program = "import sys, rowel.nodes.registry as r; r.load_registry(); print(*sys.modules)"

        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": ":".join(sys.path)},
        )

        heavy = {
            "pydantic_ai",
            "polars",
            "openai",
            "anthropic",
            "sqlalchemy",
            "fastapi",
            "obstore",
            "sandlock",
        }
        assert heavy.isdisjoint(done.stdout.split())


#: Lone surrogates and NUL included.
ANY_TEXT = st.characters(exclude_categories=())
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(ANY_TEXT, max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(ANY_TEXT, max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("name", load_registry().names)
@given(data=st.data())
def test_any_json_as_a_config_is_judged_and_never_an_exception(name, data):
    declared = load_registry()._types[name].config_type.model_fields
    config = data.draw(st.dictionaries(st.sampled_from([*declared, "unknown"]), JSON, max_size=5))

    problems = load_registry().problems(spec(name, **config))

    assert all(isinstance(problem, Problem) for problem in problems)
