"""Builds an engine from plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rowel.engine.batches import Batches
from rowel.engine.cancels import Cancels
from rowel.engine.clock import Clock, SystemClock
from rowel.engine.decisions import Decisions
from rowel.engine.dispatch import LocalDispatch
from rowel.engine.engine import Engine
from rowel.engine.house import House
from rowel.engine.lock import DataDirectoryLock
from rowel.engine.programs import Programs
from rowel.engine.shelves import Shelves
from rowel.engine.starts import Starts
from rowel.engine.takeovers import Takeovers
from rowel.engine.timers import Timers
from rowel.engine.wakeups import Wakeups
from rowel.engine.workflows import Workflows
from rowel.files.store import FileStore
from rowel.files.uploads import MAX_UPLOAD, StoredBlobs
from rowel.nodes.clients.http import HTTPClient
from rowel.nodes.clients.llm import ModelClient
from rowel.nodes.clients.sandbox import PooledSandbox
from rowel.nodes.context import Services
from rowel.nodes.registry import Registry, load_registry
from rowel.store.database import Database
from rowel.store.journal import Journal
from rowel.store.transitions import Transitions

#: What is closed with the engine, in this order.
Closers = list[PooledSandbox | ModelClient | HTTPClient]


def build_engine(  # noqa: PLR0913  # everything that can be chosen is chosen here
    data: Path,
    *,
    database_url: str | None = None,
    environment: Mapping[str, str] | None = None,
    http_allow: Sequence[str] = (),
    slots: int = 256,
    queue_limit: int = 10_000,
    upload_limit: int = MAX_UPLOAD,
    services: Services | None = None,
    registry: Registry | None = None,
    clock: Clock | None = None,
) -> Engine:
    """Make an engine on the data directory `data`, which is made where it is missing.

    `database_url` names a Postgres to use instead of the directory's SQLite file. `environment` holds providers' keys
    and addresses, `http_allow` the `host:port` that HTTP nodes may reach although private. `services`, `registry` and
    `clock` are for tests. Nothing is opened yet: `await engine.open()`.
    """
    data.mkdir(parents=True, exist_ok=True)
    database = Database(database_url or f"sqlite:///{data / 'rowel.db'}")
    files = FileStore(str(data / "files"))
    used, closers = (services, []) if services else _services(files, environment or {}, http_allow)
    clock, registry = clock or SystemClock(), registry or load_registry()
    programs, takeovers = Programs(registry), Takeovers()
    house = House(
        database=database,
        journal=Journal(database.writer, Transitions(database.dialect)),
        programs=programs,
        workflows=Workflows(database, registry, programs, used, clock),
        services=used,
        files=files,
        clock=clock,
        wakeups=Wakeups(),
        dispatch=LocalDispatch(takeovers.take, takeovers.tell_owner, slots=slots, queue_limit=queue_limit),
    )
    return _engine(house, takeovers, registry, Shelves(house, upload_limit=upload_limit), data, closers)


def _engine(
    house: House,
    takeovers: Takeovers,
    registry: Registry,
    shelves: Shelves,
    data: Path,
    closers: Closers,
) -> Engine:
    """The commands over the shared parts."""
    batches, decisions = Batches(house), Decisions(house)
    starts = Starts(house, takeovers.read_news)
    takeovers.join(house, batches, starts.means)
    return Engine(
        house=house,
        registry=registry,
        starts=starts,
        batches=batches,
        decisions=decisions,
        cancels=Cancels(house),
        shelves=shelves,
        timers=Timers(house, decisions),
        lock=DataDirectoryLock(data),
        closers=closers,
    )


def _services(
    files: FileStore, environment: Mapping[str, str], http_allow: Sequence[str]
) -> tuple[Services, Closers]:
    blobs, http = StoredBlobs(files), HTTPClient(http_allow)
    sandbox, llm = PooledSandbox(), ModelClient(environment, blobs, http)
    services = Services(sandbox=sandbox, llm=llm, http=http, blobs=blobs, environment=environment)
    return services, [sandbox, llm, http]
