"""Reads a whole Parquet file once in a process of its own, as a file that nobody knows yet.

A few hundred bytes can say gigabytes of rows, and a reader of binary files may break in ways no error catches. There,
both end a child process with little memory, and the answer is that the file can't be read.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from rowel.core import jsontext
from rowel.core.errors import InvalidDataset

#: Bytes of memory that the child may take (the file itself, mapped, isn't counted).
MAX_MEMORY = 1024**3
#: Seconds of processor time.
MAX_SECONDS = 1800

_UNREADABLE = (
    "The file can't be read as Parquet: it breaks the reader, or its rows need more than "
    f"{MAX_MEMORY:,} bytes of memory or {MAX_SECONDS:,} seconds."
)


async def check(path: Path) -> tuple[tuple[str, ...], int]:
    """Column names and the number of rows of a file of which every row can be read. Raises `InvalidDataset`."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-m", __name__, str(path)),
        env=_environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        said, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise InvalidDataset(_UNREADABLE)
    return _understand(said)


def _environment() -> dict[str, str]:
    """What the child needs to find its libraries; none of the server's secrets."""
    inherited = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "POLARS_MAX_THREADS": "2",
        "RUST_BACKTRACE": "0",
    }


def _understand(said: bytes) -> tuple[tuple[str, ...], int]:
    answer = jsontext.parse(said)
    if "refused" in answer:
        raise InvalidDataset(answer["refused"])
    return tuple(answer["columns"]), answer["rows"]


def main(path: Path) -> None:
    """What the child does: limit itself, read, print what it found."""
    _limit_memory()
    from rowel.files import parquet_rows

    try:
        columns, total = parquet_rows.shape(path)
        for _ in parquet_rows.rows(path, 0):
            pass
    except InvalidDataset as error:
        sys.stdout.write(jsontext.dump({"refused": error.message}))
        return
    sys.stdout.write(jsontext.dump({"columns": list(columns), "rows": total}))


def _limit_memory() -> None:
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
