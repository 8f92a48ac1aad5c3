"""Records come out of rows as they went in."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.outcomes import Usage
from rowel.core.records import Batch, Dataset, OutputFile, Pause, Run, Task, Version, Workflow
from rowel.core.status import PauseAction, RunStatus, RunType, TaskStatus
from rowel.store import rows, tables
from rowel.store.handovers import tasks_of, texts

WORDS = st.text("abc-_019", min_size=1, max_size=12)
#: What people write: any Unicode, NUL and lone surrogates with it. Two halves side by side are one character in JSON.
TEXTS = st.text(st.characters(codec=None), max_size=20).filter(
    lambda text: json.loads(json.dumps(text)) == text
)
#: From 1970 to 2200, to the microsecond.
MOMENTS = st.integers(0, 7_258_118_400_000_000).map(
    lambda number: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=number)
)
NUMBERS = st.integers(0, 2**31 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=3)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


RUNS = st.builds(
    Run,
    id=WORDS,
    workflow_id=WORDS,
    version_id=WORDS,
    version=NUMBERS,
    run_type=st.sampled_from(RunType),
    status=st.sampled_from(RunStatus),
    start_time=MOMENTS,
    end_time=maybe(MOMENTS),
    initial_inputs=maybe(OBJECTS),
    message=maybe(TEXTS),
    parent_run_id=maybe(WORDS),
    owner_id=maybe(WORDS),
    owner_path=maybe(WORDS),
    row_index=maybe(NUMBERS),
    partial=maybe(OBJECTS),
    input_dataset_id=maybe(WORDS),
    output_file_id=maybe(WORDS),
    has_work=st.booleans(),
    epoch=NUMBERS,
    seq=NUMBERS,
    signals=NUMBERS,
    recoveries=NUMBERS,
)
TASKS = st.builds(
    Task,
    run_id=WORDS,
    path=WORDS,
    node_id=WORDS,
    parent_path=maybe(WORDS),
    status=st.sampled_from(TaskStatus),
    attempt=NUMBERS,
    inputs=maybe(OBJECTS),
    outputs=maybe(OBJECTS),
    routes=maybe(st.frozensets(TEXTS, max_size=3)),
    error=maybe(TEXTS),
    start_time=maybe(MOMENTS),
    end_time=maybe(MOMENTS),
    retry_at=maybe(MOMENTS),
    usage=maybe(st.builds(Usage, NUMBERS, NUMBERS, maybe(st.floats(0, 1e9)), NUMBERS)),
    logs=st.lists(TEXTS, max_size=3).map(tuple),
)
PAUSES = st.builds(
    Pause,
    id=WORDS,
    run_id=WORDS,
    path=WORDS,
    node_id=WORDS,
    message=maybe(TEXTS),
    pause_time=MOMENTS,
    input_data=OBJECTS,
    form=maybe(OBJECTS),
    assignees=st.lists(TEXTS, max_size=3).map(tuple),
    holds_all=st.booleans(),
    due_at=maybe(MOMENTS),
    on_timeout=maybe(WORDS),
    is_open=st.booleans(),
    resume_time=maybe(MOMENTS),
    resume_user_id=maybe(TEXTS),
    resume_action=maybe(st.sampled_from(PauseAction)),
    resume_inputs=maybe(OBJECTS),
    comments=maybe(TEXTS),
)
DEFINED: dict[str, Any] = {
    "name": TEXTS,
    "description": maybe(TEXTS),
    "definition": OBJECTS,
    "definition_hash": WORDS,
    "created_at": MOMENTS,
    "updated_at": MOMENTS,
}
WORKFLOWS = st.builds(Workflow, id=WORDS, facts=OBJECTS, **DEFINED)
VERSIONS = st.builds(Version, id=WORDS, workflow_id=WORDS, version=NUMBERS, **DEFINED)
DATASETS = st.builds(
    Dataset,
    id=WORDS,
    name=TEXTS,
    description=maybe(TEXTS),
    filename=TEXTS,
    format=WORDS,
    key=WORDS,
    columns=st.lists(TEXTS, max_size=3).map(tuple),
    rows=NUMBERS,
    size=st.integers(0, 2**62),
    created_at=MOMENTS,
    updated_at=MOMENTS,
    offsets=st.lists(st.integers(0, 2**62), max_size=3).map(tuple),
)
FILES = st.builds(
    OutputFile,
    id=WORDS,
    run_id=WORDS,
    file_name=WORDS,
    key=WORDS,
    is_ready=st.booleans(),
    created_at=MOMENTS,
    updated_at=MOMENTS,
)
BATCHES = st.builds(
    Batch,
    run_id=WORDS,
    dataset_id=WORDS,
    total=NUMBERS,
    cursor=NUMBERS,
    window=NUMBERS,
    completed=NUMBERS,
    failed=NUMBERS,
    canceled=NUMBERS,
    paused=NUMBERS,
    running=NUMBERS,
    options=OBJECTS,
    canary=st.none() | NUMBERS,
    input_tokens=NUMBERS,
    output_tokens=NUMBERS,
    cost_nano=NUMBERS,
    selection=st.none() | st.lists(st.tuples(NUMBERS, NUMBERS), max_size=3).map(tuple),
)


def task_values(task: Task) -> dict[str, Any]:
    return {**rows.task_values(task), **texts(task, None)}


KINDS: dict[str, tuple[Any, Any, Any]] = {
    "runs": (RUNS, rows.run_values, rows.run_from_row),
    "tasks": (TASKS, task_values, lambda row: tasks_of([row], {})[0]),
    "pauses": (PAUSES, rows.pause_values, rows.pause_from_row),
    "workflows": (WORKFLOWS, rows.workflow_values, rows.workflow_from_row),
    "versions": (VERSIONS, rows.version_values, rows.version_from_row),
    "datasets": (DATASETS, rows.dataset_values, rows.dataset_from_row),
    "output_files": (FILES, rows.output_file_values, rows.output_file_from_row),
}

#: Columns that belong to the store alone.
OWN = {"stamp", "deleted_at"}


@pytest.mark.parametrize("kind", list(KINDS))
@given(data=st.data())
def test_a_record_comes_back_equal(kind: str, data: st.DataObject) -> None:
    strategy, values, from_row = KINDS[kind]
    record = data.draw(strategy)

    assert from_row(values(record)) == record


@given(BATCHES)
def test_a_batch_comes_back_equal_with_what_waits_in_it(batch: Batch) -> None:
    counted = {"paused": batch.paused, "running": batch.running}
    assert rows.batch_from_row({**rows.batch_values(batch), **counted}) == batch  # type: ignore[arg-type]  # a dict reads like a row


@pytest.mark.parametrize("kind", [*KINDS, "batches"])
@given(data=st.data())
def test_a_row_has_exactly_the_columns_of_its_table_and_plain_values(kind: str, data: st.DataObject) -> None:
    strategy, values, _ = KINDS.get(kind, (BATCHES, rows.batch_values, None))
    row = values(data.draw(strategy))

    assert set(row) == {column.name for column in tables.metadata.tables[kind].c} - OWN
    assert all(type(value) in (str, int, type(None)) for value in row.values())
    assert all(value.isascii() for name, value in row.items() if isinstance(value, str))


@pytest.mark.parametrize("record", [Run, Task, Pause, Workflow, Version, Dataset, OutputFile])
def test_every_field_of_a_record_has_a_column(record: Any) -> None:
    table = {
        Run: tables.runs,
        Task: tables.tasks,
        Pause: tables.pauses,
        Workflow: tables.workflows,
        Version: tables.versions,
        Dataset: tables.datasets,
        OutputFile: tables.output_files,
    }[record]

    # Where inputs came from is no column: it decides how they are kept.
    kept = {one.name for one in fields(record)} - {"received_from"}
    assert kept == {column.name for column in table.c} - OWN


@given(MOMENTS)
def test_times_are_exact_to_the_microsecond(moment: datetime) -> None:
    assert rows.from_number(rows.to_number(moment)) == moment


def test_times_of_other_zones_are_the_same_moments() -> None:
    moment = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    assert rows.to_moment(rows.to_number(moment) or 0) == moment
    assert rows.to_moment(rows.to_number(moment) or 0).tzinfo is UTC


@pytest.mark.parametrize("nothing", [rows.to_text, rows.from_text, rows.to_number, rows.from_number])
def test_nothing_is_nothing(nothing: Any) -> None:
    assert nothing(None) is None


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), -float("inf"), {1}, b"x", object(), pytest.param(10**5000, id="long")],
)
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        rows.to_text({"deep": [value]})


def test_empty_values_are_not_nothing() -> None:
    empty: list[Any] = [{}, [], "", 0, False]
    assert [rows.from_text(rows.to_text(value)) for value in empty] == empty
