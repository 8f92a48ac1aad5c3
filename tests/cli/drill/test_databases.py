"""A drill on Postgres has a database of its own."""

from __future__ import annotations

import psycopg
import pytest

from rowel.cli.drill.databases import NoDatabase, throwaway_database
from tests.support.postgres import Postgres


def test_without_a_url_there_is_none() -> None:
    with throwaway_database(None) as url:
        assert url is None


def test_it_is_new_and_empty_and_gone_afterwards(postgres: Postgres) -> None:
    with throwaway_database(postgres.url("postgres")) as url:
        assert url is not None
        with psycopg.connect(url) as connection:
            row = connection.execute(
                "select current_database(), count(*) from information_schema.tables where table_schema = 'public'"
            ).fetchone()
        assert row is not None
        assert row[0].startswith("rowel_drill_")
        assert row[1] == 0
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


def test_somebody_who_may_make_none_is_told_why(postgres: Postgres) -> None:
    url = postgres.url("postgres").replace(postgres.password, "wrong")
    with pytest.raises(NoDatabase, match="password authentication failed"), throwaway_database(url):
        pass
