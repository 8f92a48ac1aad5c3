"""A list that is merged from parts shows what a list from one piece would show."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from rowel.core.records import Run, RunID, WorkflowID
from rowel.core.status import RunStatus, RunType
from rowel.store import lists, rows
from rowel.store.database import Database
from rowel.store.runs import Filter
from rowel.store.tables import runs
from tests.support.ledger import NOON, make_run


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.engine.dispose()


@st.composite
def kept_runs(draw: st.DrawFn) -> list[Run]:
    """Runs of which many are alike and began in the same second."""
    number = draw(st.integers(0, 30))
    return [
        make_one(place, draw(st.randoms(use_true_random=False)).randrange(10**6)) for place in range(number)
    ]


def make_one(place: int, dice: int) -> Run:
    status = list(RunStatus)[dice % 6]
    start = NOON + timedelta(seconds=dice // 6 % 4)
    return make_run(
        id=RunID(f"r{place:02}"),
        workflow_id=WorkflowID("vw"[dice // 24 % 2]),
        run_type=list(RunType)[dice // 48 % 4],
        status=status,
        start_time=start,
        end_time=start if status.is_final else None,
    )


@st.composite
def filters(draw: st.DrawFn) -> Filter:
    moments = st.none() | st.integers(0, 4).map(lambda second: NOON + timedelta(seconds=second))
    before = draw(moments)
    return Filter(
        workflow_id=draw(st.sampled_from([None, "v"])),
        run_type=draw(st.sampled_from([None, *RunType])),
        statuses=draw(st.lists(st.sampled_from(RunStatus), unique=True)),
        since=draw(moments),
        until=draw(moments),
        before=None if before is None else (before, draw(st.sampled_from(["r00", "r15", "r99"]))),
    )


def shows(wanted: Filter, run: Run) -> bool:
    return (
        wanted.workflow_id in (None, run.workflow_id)
        and (run.run_type is wanted.run_type if wanted.run_type else run.run_type is not RunType.PARTIAL)
        and (not wanted.statuses or run.status in wanted.statuses)
        and (wanted.since is None or run.start_time >= wanted.since)
        and (wanted.until is None or run.start_time <= wanted.until)
        and (wanted.before is None or (run.start_time, run.id) < wanted.before)
    )


@given(kept_runs(), filters(), st.integers(1, 12), st.integers(0, 12))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_shows_what_a_naive_list_shows(
    database: Database, kept: list[Run], wanted: Filter, limit: int, offset: int
) -> None:
    fits = sorted(
        (run for run in kept if shows(wanted, run)), key=lambda run: (run.start_time, run.id), reverse=True
    )

    with database.engine.begin() as connection:
        connection.execute(delete(runs))
        if kept:
            connection.execute(insert(runs), [{**rows.run_values(run), "stamp": 0} for run in kept])
        found = lists.newest(connection, wanted, limit=limit, offset=offset)

    assert [run.id for run in found] == [run.id for run in fits[offset : offset + limit]]
