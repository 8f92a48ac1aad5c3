"""LangGraph with its SQLite checkpointer: `langgraph_chain.py FILE` runs a chain of nodes as it is asked."""

from __future__ import annotations

import itertools
import sys
from typing import Any, TypedDict

import aiosqlite
import lines
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph

LENGTH = 5


class State(TypedDict):
    n: int


async def step(state: State) -> State:
    return {"n": state["n"] + 1}


def build(saver: AsyncSqliteSaver) -> Any:
    graph = StateGraph(State)
    names = [START, *(f"step_{n}" for n in range(1, LENGTH + 1)), END]
    for name in names[1:-1]:
        graph.add_node(name, step)
    for source, target in itertools.pairwise(names):
        graph.add_edge(source, target)
    return graph.compile(checkpointer=saver)


async def main() -> None:
    connection = await aiosqlite.connect(sys.argv[1])
    # Its own choice is WAL; SQLite's is FULL, said here so that nobody has to wonder.
    await connection.execute("PRAGMA synchronous=FULL")
    saver = AsyncSqliteSaver(connection)
    await saver.setup()
    app = build(saver)
    threads = iter(range(sys.maxsize))

    async def runs(seconds: float, in_flight: int) -> dict[str, Any]:
        async def one(number: int) -> bool:
            config = {"configurable": {"thread_id": f"thread-{next(threads)}"}}
            # A step's checkpoint is in the file before the next step begins, as Rowel and DBOS have it.
            state = await app.ainvoke({"n": number}, config, durability="sync")
            return bool(state["n"] == number + LENGTH)

        return await lines.run_for(one, seconds, in_flight)

    async def settings() -> dict[str, Any]:
        found = {}
        for pragma in ("synchronous", "journal_mode"):
            async with connection.execute(f"PRAGMA {pragma}") as cursor:
                found[pragma] = [(await cursor.fetchone())[0]]
        return found

    await lines.answer({"runs": runs, "settings": settings})
    await connection.close()


if __name__ == "__main__":
    lines.run(main())
