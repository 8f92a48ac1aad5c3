"""Databases of a drill's own on somebody's Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from urllib.parse import urlsplit, urlunsplit


class NoDatabase(Exception):
    """The Postgres lets no database be made. The message says why."""


@contextmanager
def throwaway_database(url: str | None) -> Iterator[str | None]:
    """The URL of a new database beside the one that `url` names, there for the length of the block; None for None.

    Raises `NoDatabase`.
    """
    if url is None:
        yield None
        return
    name = f"rowel_drill_{token_hex(6)}"
    _execute(url, f"CREATE DATABASE {name}")
    try:
        yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    finally:
        _execute(url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _execute(url: str, statement: str) -> None:
    import psycopg

    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            connection.execute(statement.encode())
    except psycopg.Error as error:
        raise NoDatabase(
            f"A drill works on a database of its own, and the Postgres lets none be made: {error}"
        ) from error
