"""Saves workflows and pins runs to versions."""

from __future__ import annotations

import asyncio
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

from rowel.core.errors import Invalid, InvalidDefinition, NotFound, Problem
from rowel.core.outcomes import Fields
from rowel.core.parsing import definition_hash, parse_definition
from rowel.core.records import Run, RunID, Version, VersionID, Workflow, WorkflowID
from rowel.core.schemas import Schema
from rowel.core.status import RunStatus, RunType
from rowel.engine.clock import Clock
from rowel.engine.ids import new_id
from rowel.engine.programs import Program, Programs
from rowel.nodes.context import Services
from rowel.nodes.registry import Registry
from rowel.store import workflows as store
from rowel.store.database import Database


class Keep(Enum):
    """Says that a field stays as it is."""

    KEEP = "keep"


KEEP = Keep.KEEP


class Pinned(NamedTuple):
    """A version and what it compiles to."""

    version: Version
    program: Program

    def new_run(self, run_type: RunType, now: datetime, **fields: Any) -> Run:
        """A PENDING run of this version, accepted now."""
        return Run(
            id=RunID(new_id()),
            workflow_id=self.version.workflow_id,
            version_id=self.version.id,
            version=self.version.version,
            run_type=run_type,
            status=RunStatus.PENDING,
            start_time=now,
        ).evolve(**fields)


class Workflows:
    """Workflows, their versions, and the newest version of each, kept at hand."""

    def __init__(
        self,
        database: Database,
        registry: Registry,
        programs: Programs,
        services: Services,
        clock: Clock,
        *,
        is_shared: bool = False,
    ) -> None:
        """`is_shared`: other processes may change and delete workflows too."""
        self._database = database
        self._writes = store.WorkflowWrites(database.writer, database.dialect)
        self._registry = registry
        self._programs = programs
        self._services = services
        self._clock = clock
        self._is_shared = is_shared
        self._current: dict[str, Pinned] = {}
        self._pinning = asyncio.Lock()

    async def create(self, name: str, definition: Any, description: str | None) -> Workflow:
        """Check and keep a new workflow. Raises `InvalidDefinition` with all problems."""
        raw, facts = await self._check(definition)
        now = self._clock.now()
        workflow = Workflow(
            id=WorkflowID(new_id()),
            name=name,
            description=description,
            definition=raw,
            definition_hash=definition_hash(raw),
            facts=facts,
            created_at=now,
            updated_at=now,
        )
        await self._writes.add(workflow)
        return workflow

    async def update(
        self, workflow_id: str, name: str, definition: Any, description: str | Keep | None
    ) -> Workflow:
        """Replace a workflow; runs that have begun keep their version."""
        before = await self.get(workflow_id)
        raw, facts = await self._check(definition)
        workflow = Workflow(
            id=before.id,
            name=name,
            description=before.description if isinstance(description, Keep) else description,
            definition=raw,
            definition_hash=definition_hash(raw),
            facts=facts,
            created_at=before.created_at,
            updated_at=self._clock.now(),
        )
        async with self._pinning:
            landed = await self._writes.save(workflow)
            self._current.pop(workflow_id, None)
        if not landed:
            raise _missing(workflow_id)
        return workflow

    async def duplicate(self, workflow_id: str) -> Workflow:
        """Keep a copy under a new id."""
        before = await self.get(workflow_id)
        return await self.create(f"Copy of {before.name}", before.definition, before.description)

    async def delete(self, workflow_id: str) -> None:
        """Take the workflow off the shelf. Its runs stay, and open ones go on."""
        async with self._pinning:
            landed = await self._writes.delete(workflow_id, self._clock.now())
            self._current.pop(workflow_id, None)
        if not landed:
            raise _missing(workflow_id)

    async def get(self, workflow_id: str) -> Workflow:
        workflow = await self._database.read(lambda connection: store.get(connection, workflow_id))
        if workflow is None:
            raise _missing(workflow_id)
        return workflow

    async def newest(self, *, limit: int, offset: int) -> list[Workflow]:
        return await self._database.read(
            lambda connection: store.newest(connection, limit=limit, offset=offset)
        )

    async def versions(self, workflow_id: str, *, limit: int, offset: int) -> list[Version]:
        """The versions that runs have made, newest first."""
        await self.get(workflow_id)
        return await self._database.read(
            lambda connection: store.versions_of(connection, workflow_id, limit=limit, offset=offset)
        )

    async def output_variables(self, workflow_id: str) -> list[dict[str, Any]]:
        """The fields that each node declares it puts out, with the names that templates use."""
        workflow = await self.get(workflow_id)
        program = self._programs.get(workflow.definition_hash, workflow.definition)
        found = []
        for spec in program.graph.specs:
            for field in _declared_outputs(spec.config):
                found.append(
                    {
                        "node_id": spec.id,
                        "node_title": spec.title,
                        "variable_name": field,
                        "prefixed_variable": f"{spec.title}.{field}",
                    }
                )
        return found

    async def current(self, workflow_id: str) -> Pinned:
        """The version that a run starting now is pinned to; made where the definition has none yet."""
        pinned = self._current.get(workflow_id)
        if pinned is not None and self._is_shared and not await self._is_newest(pinned):
            return await self._pin(workflow_id)
        if pinned is None:
            async with self._pinning:
                pinned = self._current.get(workflow_id) or await self._pin(workflow_id)
        return pinned

    async def _is_newest(self, pinned: Pinned) -> bool:
        """Whether no other process has changed or deleted the workflow meanwhile."""
        version = pinned.version
        heads = await self._database.read(lambda connection: store.heads(connection, version.workflow_id))
        return heads == (version.definition_hash, version.id)

    async def upcoming(self, workflow_id: str) -> Pinned:
        """What `current` would answer. A version that is still to be made is not kept."""
        workflow = await self.get(workflow_id)
        latest = await self._latest(workflow_id)
        if latest is None or latest.definition_hash != workflow.definition_hash:
            return self.pin(self._version(workflow, 1 if latest is None else latest.version + 1))
        return self.pin(latest)

    async def numbered(self, workflow_id: str, number: int) -> Pinned:
        """The version with this number."""
        version = await self._database.read(
            lambda connection: store.find_version(connection, workflow_id, number)
        )
        if version is None:
            raise NotFound(f"Workflow {workflow_id!r} has no version {number}.")
        return self.pin(version)

    def pin(self, version: Version) -> Pinned:
        return Pinned(version, self._programs.get(version.definition_hash, version.definition))

    async def _pin(self, workflow_id: str) -> Pinned:
        workflow = await self.get(workflow_id)
        latest = await self._latest(workflow_id)
        while latest is None or latest.definition_hash != workflow.definition_hash:
            await self._writes.add_version(
                self._version(workflow, 1 if latest is None else latest.version + 1)
            )
            latest = await self._latest(workflow_id)
        pinned = self.pin(latest)
        self._current[workflow_id] = pinned
        return pinned

    async def _latest(self, workflow_id: str) -> Version | None:
        return await self._database.read(lambda connection: store.find_version(connection, workflow_id, None))

    def _version(self, workflow: Workflow, number: int) -> Version:
        now = self._clock.now()
        return Version(
            id=VersionID(new_id()),
            workflow_id=workflow.id,
            version=number,
            name=workflow.name,
            description=workflow.description,
            definition=workflow.definition,
            definition_hash=workflow.definition_hash,
            created_at=now,
            updated_at=now,
        )

    async def _check(self, definition: Any) -> tuple[Fields, Fields]:
        """The definition's JSON with titles filled in, and what was found out about its nodes."""
        checked = parse_definition(definition, self._registry)
        facts: dict[str, Fields] = {}
        problems: list[Problem] = []
        await self._inspect(self._programs.compile(checked), facts, problems)
        if problems:
            raise InvalidDefinition(problems)
        return checked.raw, facts

    async def _inspect(self, program: Program, facts: dict[str, Fields], problems: list[Problem]) -> None:
        for node_id, node in program.nodes.items():
            try:
                found = await node.inspect(self._services)
            except Invalid as error:
                problems.append(Problem(error.message, node_id))
            else:
                facts.update({node_id: found} if found else {})
        for inner in program.inner.values():
            await self._inspect(inner, facts, problems)


def _declared_outputs(config: Fields) -> list[str]:
    schema = Schema.of(config, "output_json_schema", "output_schema")
    return list(schema.fields) if schema is not None else []


def _missing(workflow_id: str) -> NotFound:
    return NotFound(f"There is no workflow {workflow_id[:128]!r}.")
