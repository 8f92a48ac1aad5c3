"""What a node type is. One file in `nodes/builtin/` holds one subclass of `Node`; nothing else names it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field

from rowel.core.definition import NodeSpec
from rowel.core.errors import Problem
from rowel.core.outcomes import Fields, Outcome
from rowel.core.schemas import Schema
from rowel.nodes.context import Context, Services


class RetryConfig(BaseModel):
    """How often a failed task is tried, and how long it waits between tries (doubling each time)."""

    model_config = ConfigDict(strict=True, extra="forbid")

    #: All tries together, the first included.
    attempts: int = Field(default=3, ge=1, le=100)
    #: Seconds before the second try; doubles from there.
    backoff_s: float = Field(default=1.0, ge=0, le=3600)


class Config(BaseModel):
    """What any node may carry in its `config`. Unknown fields are kept and ignored."""

    model_config = ConfigDict(extra="allow", frozen=True)

    #: {field: type}, with types string, int, float, bool, list, dict.
    output_schema: dict[str, Any] | None = None
    #: A JSON Schema as text; wins over `output_schema`.
    output_json_schema: str | None = None
    #: False lifts type checks.
    enforce_schema: bool = True
    retry: RetryConfig | None = None
    #: Seconds one attempt may take; the node type's own limit where absent.
    timeout_s: float | None = Field(default=None, gt=0, le=86_400)
    #: What a failure does: `fail` the run, or `continue` with {"error": message} as this node's outputs.
    on_error: Literal["fail", "continue"] = "fail"
    #: What a task that a crash interrupted does: run again, or fail (at most once).
    on_interrupt: Literal["retry", "fail"] = "retry"
    #: Seconds for which an equal config and input may reuse an earlier result.
    cache_s: float | None = Field(default=None, ge=0)


@dataclass(frozen=True)
class InputProblems:
    """What is wrong with a run's inputs: names of required fields that are missing, and a sentence for each value
    that doesn't fit. False when nothing is."""

    missing: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.wrong)


C = TypeVar("C", bound=Config)


class Node(Generic[C]):
    """One step of a workflow. Subclass it with a Config and write `run`.

    An instance is made once per workflow version and used by many runs at the same time: keep nothing in it but
    what `__init__` prepares (compiled templates, parsed schemas).
    """

    #: Shown as a heading in the editor's palette.
    category: ClassVar[str] = "Data"
    #: Takes the run's inputs; a graph has exactly one.
    is_input: ClassVar[bool] = False
    #: Gives the result of a loop body or subworkflow; a graph has at most one.
    is_output: ClassVar[bool] = False
    #: Replaying it is harmless and it never awaits: it runs ahead and is journaled together with its neighbours.
    pure: ClassVar[bool] = False
    #: `all`: dies with a dead link. `any`: waits until every link settled and needs one that is live.
    join: ClassVar[Literal["all", "any"]] = "all"
    #: Its links must name one of `handles()`.
    routes: ClassVar[bool] = False
    #: Has a body of nodes of its own (a loop or an inline subworkflow).
    contains: ClassVar[bool] = False
    #: The config field that stands in for a container's body; None: it always needs one.
    body_unless: ClassVar[str | None] = None
    #: Calls something outside Rowel: a rerun's plan names it.
    touches_outside: ClassVar[bool] = False
    #: Keeps to `Context.timeout_s` itself, since it may have to wait for its turn before the time counts.
    bounds_its_own_time: ClassVar[bool] = False
    #: Seconds one attempt may take where the config says nothing.
    default_timeout_s: ClassVar[float] = 300.0

    config_type: ClassVar[type[Config]] = Config

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            for argument in get_args(base):
                if isinstance(argument, type) and issubclass(argument, Config):
                    cls.config_type = argument

    def __init__(self, spec: NodeSpec, config: C) -> None:
        """Prepare the node. Raise `Invalid` when the config can't work; the message becomes the node's problem."""
        self.spec = spec
        self.config = config

    @classmethod
    def problems(cls, spec: NodeSpec, config: C) -> Iterable[Problem]:
        """Everything that is wrong with this node beyond the types of its config."""
        return ()

    @classmethod
    def template_fields(cls) -> Sequence[str]:
        """The config fields that hold templates, for the editor."""
        return ()

    def handles(self) -> frozenset[str] | None:
        """The handles that links out of this node may name; None means it has no say."""
        return None

    @property
    def input_schema(self) -> Schema | None:
        """What an input node asks of a run's inputs and of a dataset's columns; None where it asks nothing."""
        return None

    def input_problems(self, inputs: Fields) -> InputProblems:
        """Judge a run's inputs before there is a run. Only input nodes have something to say."""
        return InputProblems()

    async def inspect(self, services: Services) -> Mapping[str, Any]:
        """Facts about this node that its user sees when the workflow is saved. Raise `Invalid` to refuse it."""
        return {}

    async def run(self, inputs: Fields, context: Context) -> Outcome | Fields:
        """Do the work on `inputs` (predecessors' outputs by title; an input node: the run's inputs).

        A plain mapping means `Done`. Raise `NodeFailed` for what went wrong; anything else that escapes is a
        failure too, without details.
        """
        raise NotImplementedError

    async def after(self, inputs: Fields, results: Sequence[Fields], context: Context) -> Outcome:
        """Say how a container goes on. `inputs` are what it received; `results` the outputs of each finished
        iteration of its body as {node id: outputs} of the COMPLETED nodes, oldest first."""
        raise NotImplementedError
