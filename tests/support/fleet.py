"""Many engines on one Postgres, all in this process: servers that accept, workers that move."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

from rowel.engine import compose
from rowel.engine.cluster.pace import Pace
from rowel.engine.compose import Capacity, Role
from rowel.engine.engine import Engine
from rowel.files.store import FileStore
from rowel.files.uploads import StoredBlobs
from rowel.nodes import builtin
from rowel.nodes.registry import Registry, find_builtin_types
from tests.support.clocks import FakeClock
from tests.support.contexts import make_services
from tests.support.fake_nodes import Stage
from tests.support.house import compiled_transitions

#: Everything is looked at often, so that tests end soon.
QUICK = Pace(heartbeat=0.5, stalled=2.0, sweep=0.5, fetch_poll=0.25, reconcile=0.5, fallback=0.5)
#: Nothing is looked at again, so that what is heard is what was told.
TOLD_ONLY = Pace(heartbeat=0.5, stalled=60.0, sweep=60.0, fetch_poll=0.25, reconcile=60.0, fallback=60.0)


class Fleet:
    """The engines that are open on one database, over one stage of scripted nodes."""

    def __init__(self, data: Path, database_url: str, stage: Stage, pace: Pace = QUICK) -> None:
        self.stage = stage
        self.clock = FakeClock()
        self.pace = pace
        self._data = data
        self._url = database_url
        self._open: list[Engine] = []

    async def server(self, **capacity: int) -> Engine:
        """One more that accepts and executes nothing."""
        return await self._add(Role.ACCEPTS, capacity)

    async def worker(self, *, interactive: int = 8, batch: int = 4) -> Engine:
        """One more that executes."""
        return await self._add(Role.WORKS, {"interactive": interactive, "batch": batch})

    async def _add(self, role: Role, capacity: dict[str, Any]) -> Engine:
        with patch.object(compose, "Transitions", compiled_transitions):
            engine = compose.build_engine(
                self._data,
                database_url=self._url,
                services=make_services(blobs=StoredBlobs(FileStore(str(self._data / "files")))),
                registry=Registry([*find_builtin_types(builtin), self.stage.node_type]),
                clock=self.clock,
                capacity=Capacity(**capacity),
                role=role,
                pace=self.pace,
            )
        await engine.open()
        self._open.append(engine)
        return engine

    async def shut(self, engine: Engine) -> None:
        """Close one as an operator does."""
        self._open.remove(engine)
        await engine.close()

    async def close(self) -> None:
        for engine in list(reversed(self._open)):
            await self.shut(engine)
