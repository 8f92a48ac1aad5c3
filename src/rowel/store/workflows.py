"""Reads and saves workflows and versions."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, bindparam, select, update

from rowel.core.records import Version, Workflow
from rowel.store import rows
from rowel.store.dialect import Dialect
from rowel.store.statements import compile_statement
from rowel.store.tables import versions, workflows
from rowel.store.writer import Writer

COLUMNS = [column for column in workflows.c if column.name != "deleted_at"]


def get(connection: Connection, workflow_id: str) -> Workflow | None:
    query = select(*COLUMNS).where(workflows.c.id == workflow_id, workflows.c.deleted_at.is_(None))
    row = connection.execute(query).mappings().first()
    return None if row is None else rows.workflow_from_row(row)


def newest(connection: Connection, *, limit: int, offset: int) -> list[Workflow]:
    """Workflows, newest first."""
    query = (
        select(*COLUMNS)
        .where(workflows.c.deleted_at.is_(None))
        .order_by(workflows.c.created_at.desc(), workflows.c.id.desc())
        .limit(limit)
        .offset(offset)
    )
    return [rows.workflow_from_row(row) for row in connection.execute(query).mappings()]


def get_version(connection: Connection, version_id: str) -> Version | None:
    row = connection.execute(select(versions).where(versions.c.id == version_id)).mappings().first()
    return None if row is None else rows.version_from_row(row)


def find_version(connection: Connection, workflow_id: str, number: int | None) -> Version | None:
    """The version with this number; the newest where `number` is None."""
    query = select(versions).where(versions.c.workflow_id == workflow_id)
    if number is not None:
        query = query.where(versions.c.version == number)
    row = connection.execute(query.order_by(versions.c.version.desc()).limit(1)).mappings().first()
    return None if row is None else rows.version_from_row(row)


class Heads(NamedTuple):
    """What a workflow's draft is, and its newest version, if runs have made one."""

    draft_hash: str
    version_id: str | None


def heads(connection: Connection, workflow_id: str) -> Heads | None:
    """Both, without reading any definition. None where there is no such workflow."""
    newest = select(versions.c.id).where(versions.c.workflow_id == workflow_id)
    newest = newest.order_by(versions.c.version.desc()).limit(1)
    query = select(workflows.c.definition_hash, newest.scalar_subquery()).where(
        workflows.c.id == workflow_id, workflows.c.deleted_at.is_(None)
    )
    row = connection.execute(query).first()
    return None if row is None else Heads(*row)


def versions_of(connection: Connection, workflow_id: str, *, limit: int, offset: int) -> list[Version]:
    """The workflow's versions, newest first."""
    query = (
        select(versions)
        .where(versions.c.workflow_id == workflow_id)
        .order_by(versions.c.version.desc())
        .limit(limit)
        .offset(offset)
    )
    return [rows.version_from_row(row) for row in connection.execute(query).mappings()]


class WorkflowWrites:
    """Saves workflows and versions through the process's one writer."""

    def __init__(self, writer: Writer, dialect: Dialect) -> None:
        self._writer = writer
        names = [column.name for column in COLUMNS]
        self._insert = compile_statement(
            dialect.insert(workflows).values(
                {name: bindparam(name, None, type_=workflows.c[name].type) for name in names}
            ),
            dialect.sql,
        )
        alive = (workflows.c.id == bindparam("key", ""), workflows.c.deleted_at.is_(None))
        changed = [name for name in names if name not in ("id", "created_at")]
        self._update = compile_statement(
            update(workflows)
            .where(*alive)
            .values({name: bindparam(name, None, type_=workflows.c[name].type) for name in changed}),
            dialect.sql,
        )
        self._delete = compile_statement(
            update(workflows).where(*alive).values(deleted_at=bindparam("now", None, type_=BigInteger())),
            dialect.sql,
        )
        self._insert_version = compile_statement(
            dialect.insert(versions)
            .values({column.name: bindparam(column.name, None, type_=column.type) for column in versions.c})
            .on_conflict_do_nothing(),
            dialect.sql,
        )

    async def add(self, workflow: Workflow) -> None:
        await self._writer.write([self._insert.bind(rows.workflow_values(workflow))])

    async def save(self, workflow: Workflow) -> bool:
        """Replace the workflow; False where it is gone."""
        values = {**rows.workflow_values(workflow), "key": workflow.id}
        return (await self._writer.write([self._update.bind(values)]))[0] == 1

    async def delete(self, workflow_id: str, now: datetime) -> bool:
        """Take the workflow off the shelf; its runs stay. False where it is gone already."""
        values = {"key": workflow_id, "now": rows.to_number(now)}
        return (await self._writer.write([self._delete.bind(values)]))[0] == 1

    async def add_version(self, version: Version) -> bool:
        """Keep a new version; False where another one took its number."""
        return (await self._writer.write([self._insert_version.bind(rows.version_values(version))]))[0] == 1
