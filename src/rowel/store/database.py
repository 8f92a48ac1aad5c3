"""Opens the database: reads through a pool, writes through one writer, migrations."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from rowel.core.errors import Conflict, Unavailable
from rowel.store.commits import reason_of
from rowel.store.dialect import Dialect, dialect_of
from rowel.store.writer import Writer

T = TypeVar("T")

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"

#: Seconds that whoever reads waits at most, though the store hangs.
READ_WITHIN_S = 15.0


class Database:
    """One database, for one event loop. `url` is `sqlite:///path` or `postgresql://...`."""

    def __init__(self, url: str, dialect: Dialect | None = None) -> None:
        """`dialect` takes the place of the URL's own; for tests."""
        self.url = url
        self.dialect = dialect or dialect_of(url)
        self.engine = self.dialect.engine()
        self.writer = Writer(self.dialect)
        self._held: Any = None
        #: Why the last read failed; None while reading works.
        self._unread: str | None = None
        self._readers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="rowel-read")

    @property
    def trouble(self) -> str | None:
        """Why the store can't be written or read, by the last try; None while both work."""
        return self.writer.trouble or self._unread

    async def look(self) -> str | None:
        """The same, after a look whether it can be read now."""
        with suppress(Unavailable):
            await self.read(_look)
        return self.trouble

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run `query` on a connection of its own, in a thread, on one consistent snapshot.

        Raises `Unavailable` where the store can't be read, or does not answer.
        """
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_now, query)
        except TimeoutError as error:
            raise self._away(f"it gave no answer within {READ_WITHIN_S:g} s") from error

    def read_now(self, query: Callable[[Connection], T]) -> T:
        """Run `query` here and now; for what is known to be small."""
        try:
            with self.engine.connect() as connection:
                found = query(connection)
        except DBAPIError as error:
            if error.orig is not None and self.dialect.is_about_data(error.orig):
                raise
            raise self._away(reason_of(error.orig or error)) from error
        if self._unread is not None:
            log.warning("the store can be read again")
            self._unread = None
        return found

    def _away(self, why: str) -> Unavailable:
        if self._unread is None:
            log.error("the store can't be read: %s", why)
        self._unread = why
        return Unavailable(
            "The store can't be read at the moment. Look again before you repeat what changes something."
        )

    def hold(self, *, shares: bool = False) -> None:
        """Take the database until `close`, for this engine alone or as one of many that share it.

        Raises `Conflict` where others work on it otherwise.
        """
        self._held = self.dialect.hold(shares=shares)
        if self._held is None:
            others = (
                "A Rowel that works alone holds this database" if shares else "Others work on this database"
            )
            raise Conflict(f"{others}; stop it first.", "database_in_use")

    def migrate(self) -> None:
        """Bring the tables to the newest revision; whoever else does it at the same time waits. Blocks.

        Raises `Conflict` where they are at a revision that this version doesn't know, and `Unavailable` where the store
        doesn't take it.
        """
        try:
            with self.dialect.migration(self.engine) as connection:
                # Nearly always they are there, and loading Alembic takes a tenth of the whole start.
                if _revision_of(connection) != newest_revision():
                    _upgrade(connection)
        except DBAPIError as error:
            why = reason_of(error.orig or error)
            raise Unavailable(f"The database's tables can't be brought up to date: {why}.") from error

    def is_migrated(self) -> bool:
        """Whether the tables are at this version's newest revision. Raises `Unavailable`."""
        return self.read_now(_revision_of) == newest_revision()

    def check(self) -> None:
        """Raise `Unavailable` where the database can't be read."""
        self.read_now(_look)

    async def close(self) -> None:
        """Write what is queued, then let go of every connection."""
        await self.writer.close()
        await asyncio.to_thread(self._readers.shutdown)
        self.engine.dispose()
        if self._held is not None:
            self._held.close()


def revisions() -> set[str]:
    """The revisions of the tables that this version knows. The name of each one's file begins with it."""
    return {path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}


def newest_revision() -> str:
    """The revision of the tables that this version works on."""
    return max(revisions())


def _revision_of(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _upgrade(connection: Connection) -> None:
    """Raises `Conflict`."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise Conflict(
            f"The database's tables are those of a newer version of Rowel ({error}). Start that version, or "
            "restore a backup from before it.",
            "database_too_new",
        ) from error


def _look(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))
