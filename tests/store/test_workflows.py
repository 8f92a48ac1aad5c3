"""Workflows, versions, datasets and output files in the store, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from rowel.core.records import (
    Dataset,
    DatasetID,
    Version,
    VersionID,
    Workflow,
    WorkflowID,
)
from rowel.store import datasets, workflows
from rowel.store.database import Database
from rowel.store.datasets import DatasetWrites
from rowel.store.workflows import WorkflowWrites
from tests.support.ledger import NOON, Ledger

numbers = count(1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def writes(database: Database) -> WorkflowWrites:
    return WorkflowWrites(database.writer, database.dialect)


def workflow(**fields: Any) -> Workflow:
    number = next(numbers)
    moment = NOON + timedelta(seconds=number)
    return Workflow(
        **{
            "id": WorkflowID(f"w-{number:05}"),
            "name": "n",
            "description": None,
            "definition": {"nodes": [], "links": []},
            "definition_hash": "h",
            "facts": {},
            "created_at": moment,
            "updated_at": moment,
            **fields,
        }
    )


def version(of: Workflow, number: int, **fields: Any) -> Version:
    return Version(
        **{
            "id": VersionID(f"{of.id}-{number}-{next(numbers)}"),
            "workflow_id": of.id,
            "version": number,
            "name": of.name,
            "description": of.description,
            "definition": of.definition,
            "definition_hash": of.definition_hash,
            "created_at": NOON,
            "updated_at": NOON,
            **fields,
        }
    )


def dataset(**fields: Any) -> Dataset:
    number = next(numbers)
    moment = NOON + timedelta(seconds=number)
    return Dataset(
        **{
            "id": DatasetID(f"d-{number:05}"),
            "name": "d",
            "description": None,
            "filename": "d.csv",
            "format": "csv",
            "key": "datasets/d.csv",
            "columns": ("a", "b"),
            "rows": 3,
            "size": 10,
            "created_at": moment,
            "updated_at": moment,
            "offsets": (4, 8),
            **fields,
        }
    )


async def found(database: Database, workflow_id: str) -> Workflow | None:
    return await database.read(lambda connection: workflows.get(connection, workflow_id))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": "é \ud800", "description": "\x00"},
        {"definition": {"nodes": [{"id": "a", "config": {"n": 10**40}}], "links": []}},
        {"facts": {"a": {"sandbox": "monty"}}},
    ],
)
async def test_a_workflow_comes_back_as_it_was_kept(
    database: Database, writes: WorkflowWrites, fields: dict[str, Any]
) -> None:
    kept = workflow(**fields)
    await writes.add(kept)
    assert await found(database, kept.id) == kept


async def test_a_workflow_is_replaced_but_for_its_beginning(
    database: Database, writes: WorkflowWrites
) -> None:
    kept = workflow()
    await writes.add(kept)
    later = NOON + timedelta(days=1)
    changed = replace(kept, name="m", description="d", definition_hash="h2", updated_at=later)
    assert await writes.save(changed)
    assert await found(database, kept.id) == changed
    assert not await writes.save(workflow())


async def test_a_deleted_workflow_is_neither_found_nor_listed_nor_changed(
    database: Database, writes: WorkflowWrites
) -> None:
    kept, other = workflow(), workflow()
    await writes.add(kept)
    await writes.add(other)
    assert await writes.delete(kept.id, NOON)
    assert await found(database, kept.id) is None
    assert not await writes.delete(kept.id, NOON)
    assert not await writes.save(kept)
    listed = await database.read(lambda connection: workflows.newest(connection, limit=10, offset=0))
    assert listed == [other]


async def test_workflows_are_listed_newest_first(database: Database, writes: WorkflowWrites) -> None:
    made = [workflow() for _ in range(5)]
    for one in made:
        await writes.add(one)
    page = await database.read(lambda connection: workflows.newest(connection, limit=2, offset=1))
    assert page == [made[3], made[2]]


async def test_versions_are_found_by_id_by_number_and_newest(
    database: Database, writes: WorkflowWrites
) -> None:
    kept = workflow()
    made = [version(kept, number, definition_hash=f"h{number}") for number in (1, 2, 3)]
    for one in made:
        assert await writes.add_version(one)

    async def numbered(number: int | None) -> Version | None:
        return await database.read(lambda connection: workflows.find_version(connection, kept.id, number))

    assert await numbered(None) == made[2]
    assert await numbered(2) == made[1]
    assert await numbered(9) is None
    assert await database.read(lambda connection: workflows.get_version(connection, made[0].id)) == made[0]
    listed = await database.read(
        lambda connection: workflows.versions_of(connection, kept.id, limit=2, offset=0)
    )
    assert listed == [made[2], made[1]]


async def test_a_number_is_given_to_one_version_only(database: Database, writes: WorkflowWrites) -> None:
    kept = workflow()
    first, second = version(kept, 1), version(kept, 1)
    assert await writes.add_version(first)
    assert not await writes.add_version(second)
    newest = await database.read(lambda connection: workflows.find_version(connection, kept.id, None))
    assert newest == first


async def test_datasets_are_kept_listed_and_forgotten(database: Database) -> None:
    writes = DatasetWrites(database.writer, database.dialect)
    made = [dataset(), dataset(description="\x00 \ud800", columns=("é",), offsets=())]
    for one in made:
        await writes.add(one)
    for one in made:
        assert await database.read(lambda connection, one=one: datasets.get(connection, one.id)) == one
    listed = await database.read(lambda connection: datasets.newest(connection, limit=None))
    assert listed == made[::-1]
    page = await database.read(lambda connection: datasets.newest(connection, limit=1, offset=1))
    assert page == made[:1]
    assert await writes.delete(made[0].id)
    assert not await writes.delete(made[0].id)
    assert await database.read(lambda connection: datasets.get(connection, made[0].id)) is None


async def test_an_output_file_is_there_once_its_batch_says_so_and_can_be_forgotten(database_url: str) -> None:
    ledger = Ledger(database_url)
    batch = await ledger.batch(total=0)
    (file,) = await ledger.database.read(
        lambda connection: datasets.output_files_newest(connection, limit=None)
    )
    assert (file.run_id, file.is_ready) == (batch.id, False)
    writes = DatasetWrites(ledger.database.writer, ledger.database.dialect)
    assert await writes.delete_output_file(file.id)
    assert not await writes.delete_output_file(file.id)
    gone = await ledger.database.read(lambda connection: datasets.get_output_file(connection, file.id))
    assert gone is None
    await ledger.close()
