"""The store fails at the n-th step of a scenario, for each n until the scenario is through without a failure.

Clients hear 503 and come back; nothing that was acknowledged is lost, nothing is done twice, and all ends well.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

import rowel.store.writer
from rowel.api.http import create_api
from rowel.core.faults import Harm, Point, parse_faults
from rowel.engine import compose, patience
from rowel.engine.faults import Faults
from rowel.engine.upkeep import Upkeep
from tests.support.clocks import FakeClock
from tests.support.fake_nodes import Stage
from tests.support.house import House
from tests.support.postgres import Postgres
from tests.support.scenario import Client, ends_well, play
from tests.support.torture import ROUNDS


class Noted(Faults):
    """Faults that know whether any of them happened."""

    happened = 0

    def reach(self, point: Point) -> Harm | None:
        harm = super().reach(point)
        Noted.happened += harm is not None
        return harm


@asynccontextmanager
async def opened(data: Path, faults: str, url: str | None) -> AsyncIterator[tuple[Client, Stage, Any]]:
    stage = Stage()
    house = House(data, stage, FakeClock(), url)
    engine = await house.open(Upkeep(runs_each=0.05), faults=parse_faults(faults))
    transport = httpx.ASGITransport(app=create_api(engine))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        yield Client(http), stage, engine
        await house.shut(engine)


def directory(path: Path, template: Path) -> Path:
    """A data directory with its tables."""
    path.mkdir()
    shutil.copy(template, path / "rowel.db")
    return path


async def survive(data: Path, faults: str, url: str | None = None) -> bool:
    """Go through the scenario with these faults; return whether one of them happened."""
    before = Noted.happened
    async with opened(data, faults, url) as (client, stage, engine):
        await ends_well(client, stage, await play(client, stage))
        assert engine.store_trouble() is None
    return Noted.happened > before


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "Faults", Noted)
    monkeypatch.setattr(patience, "AGAIN_AFTER_S", (0.01,))
    monkeypatch.setattr(rowel.store.writer.Writer.__init__, "__defaults__", ((0.01,),))


#: The point, the harm, how often in a row, and how far apart the chosen ones lie in the suite.
CASES = [
    (Point.STATEMENT_BEFORE, Harm.IO, 1, 60),
    (Point.STATEMENT_AFTER, Harm.FULL, 3, 60),
    (Point.BEGIN_BEFORE, Harm.LOCKED, 4, 25),
    (Point.COMMIT_BEFORE, Harm.IO, 1, 25),
    (Point.COMMIT_AFTER, Harm.IO, 1, 10),
    (Point.READ, Harm.IO, 2, 60),
    (Point.FILE_WRITE, Harm.FULL, 2, 1),
    (Point.FILE_PUBLISH_AFTER, Harm.IO, 1, 1),
]


@pytest.mark.parametrize(("point", "harm", "length", "stride"), CASES)
async def test_whenever_the_store_fails_nothing_is_lost_and_it_recovers(
    tmp_path: Path, sqlite_template: Path, point: Point, harm: Harm, length: int, stride: int
) -> None:
    for fault in faults(point, harm, length, stride):
        try:
            happened = await survive(directory(tmp_path / fault, sqlite_template), fault)
        except BaseException as error:
            error.add_note(f"ROWEL_FAULTS={fault}")
            raise
        if not happened:
            return


@pytest.mark.parametrize(
    ("point", "harm", "stride"),
    [(Point.COMMIT_AFTER, Harm.IO, 15), (Point.STATEMENT_BEFORE, Harm.FULL, 150), (Point.READ, Harm.IO, 150)],
)
async def test_nor_on_postgres(
    tmp_path: Path, postgres: Postgres, postgres_template: str, point: Point, harm: Harm, stride: int
) -> None:
    for fault in faults(point, harm, 2, stride):
        with postgres.database(postgres_template) as url:
            try:
                happened = await survive(tmp_path / fault, fault, url)
            except BaseException as error:
                error.add_note(f"ROWEL_FAULTS={fault}")
                raise
        if not happened:
            return


def faults(point: Point, harm: Harm, length: int, stride: int) -> Iterator[str]:
    """Each as text: at first, and then ever later."""
    stride = 1 if ROUNDS else stride
    for n in count(1 if stride == 1 else Random().randint(1, stride), step=stride):
        yield f"{point}:{n}-{n + length - 1}:{harm}"
