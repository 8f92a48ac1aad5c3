"""One database, one engine."""

from __future__ import annotations

import pytest

from rowel.core.errors import Conflict
from rowel.store.database import Database


async def test_a_second_engine_on_one_postgres_is_refused_until_the_first_has_ended(
    postgres_url: str,
) -> None:
    first, second = Database(postgres_url), Database(postgres_url)
    first.hold()
    with pytest.raises(Conflict, match="Others work on this database"):
        second.hold()
    await first.close()
    second.hold()
    await second.close()


async def test_many_may_share_one_postgres_but_none_may_work_on_it_alone_meanwhile(postgres_url: str) -> None:
    first, second, alone = Database(postgres_url), Database(postgres_url), Database(postgres_url)
    first.hold(shares=True)
    second.hold(shares=True)
    with pytest.raises(Conflict, match="Others work on this database"):
        alone.hold()
    await first.close()
    await second.close()
    alone.hold()
    with pytest.raises(Conflict, match="works alone holds this database"):
        Database(postgres_url).hold(shares=True)
    await alone.close()


async def test_a_file_is_held_by_the_lock_of_its_directory(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    database.hold()
    await database.close()
