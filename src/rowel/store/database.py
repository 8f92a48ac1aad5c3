"""Opens the database: reads through a pool, writes through one writer, migrations."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import InterfaceError, OperationalError

from rowel.core.errors import Conflict, Unavailable
from rowel.store.dialect import dialect_of
from rowel.store.writer import Writer

if TYPE_CHECKING:
    from alembic.config import Config

T = TypeVar("T")

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """One database, for one event loop. `url` is `sqlite:///path` or `postgresql://...`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.dialect = dialect_of(url)
        self.engine = self.dialect.engine()
        self.writer = Writer(self.dialect)
        self._held: Any = None
        self._readers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="rowel-read")

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run `query` on a connection of its own, in a thread, on one consistent snapshot.

        Raises `Unavailable` where the store is away.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_now, query)
        except (OperationalError, InterfaceError) as error:
            log.info("the store can't be read: %s", error.orig)
            raise Unavailable(
                "The store can't be read at the moment. Look again before you repeat what changes something."
            ) from error

    def read_now(self, query: Callable[[Connection], T]) -> T:
        """Run `query` here and now; for what is known to be small."""
        with self.engine.connect() as connection:
            return query(connection)

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

        Raises `Conflict` where they are at a revision that this version doesn't know.
        """
        from alembic import command
        from alembic.util import CommandError

        config = _migrations()
        with self.dialect.migration(self.engine) as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise Conflict(
                    f"The database's tables are those of a newer version of Rowel ({error}). Start that version, or "
                    "restore a backup from before it.",
                    "database_too_new",
                ) from error

    def is_migrated(self) -> bool:
        """Whether the tables are at this version's newest revision. Raises the driver's error."""
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory

        heads = set(ScriptDirectory.from_config(_migrations()).get_heads())
        return self.read_now(
            lambda connection: set(MigrationContext.configure(connection).get_current_heads()) == heads
        )

    def check(self) -> None:
        """Raise the driver's error where the database can't be read."""
        self.read_now(lambda connection: connection.execute(text("SELECT 1")).scalar())

    async def close(self) -> None:
        """Write what is queued, then let go of every connection."""
        await self.writer.close()
        self._readers.shutdown(wait=True)
        self.engine.dispose()
        if self._held is not None:
            self._held.close()


def revisions() -> set[str]:
    """The revisions of the tables that this version knows."""
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(_migrations()).walk_revisions()}


def _migrations() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
