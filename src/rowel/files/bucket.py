"""Files in a bucket of S3, Google Cloud Storage or Azure. Credentials and endpoints are obstore's own variables."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from rowel.core.errors import Invalid, Unavailable
from rowel.files.refusals import cannot_delete, cannot_keep, cannot_read, missing
from rowel.files.threads import ended

log = logging.getLogger(__name__)

#: Bytes of one part of an upload, how many parts travel at a time, and bytes read by one request.
PART = 8 * 1024 * 1024
PARALLEL = 2
READ = 4 * 1024 * 1024
#: Files that are listed by one request.
LISTED = 1000
#: A bucket that doesn't answer is given up after these; whoever waits for it asks again.
PATIENCE = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=15),
    "backoff": {
        "init_backoff": timedelta(seconds=0.1),
        "max_backoff": timedelta(seconds=2),
        "base": 2,
    },
}


class Bucket:
    """The objects below a URL such as `s3://bucket/prefix`."""

    def __init__(self, url: str) -> None:
        """Raises `Invalid` where no bucket can be meant. Nothing is asked of it yet."""
        self._store = _open(url)
        self._is_away = False

    async def write(self, key: str, parts: AsyncIterator[bytes]) -> None:
        """A small file travels in one request; of a larger one the bucket shows nothing before its last part."""
        import obstore

        writer = obstore.open_writer_async(self._store, key, buffer_size=PART, max_concurrency=PARALLEL)
        try:
            async for part in parts:
                with self._writing():
                    await writer.write(part)
            with self._writing():
                await ended(writer.close())
            self._note_recovery()
        except BaseException:
            await self._abort(writer)
            raise

    async def _abort(self, writer: Any) -> None:
        """Have the bucket forget the parts that it was given."""
        import obstore

        try:
            await writer.__aexit__(*sys.exc_info())
        except (obstore.exceptions.BaseError, OSError) as error:
            log.info("an upload could not be aborted: %s", _first_line(error))

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        import obstore

        for start, end in _ranges(await self.size(key)):
            with self._finding(key):
                part = await obstore.get_range_async(self._store, key, start=start, end=end)
            yield bytes(part)

    def blocks(self, key: str, offset: int) -> Iterator[bytes]:
        import obstore

        with self._finding(key):
            size = obstore.head(self._store, key)["size"]
        for start, end in _ranges(size, offset):
            with self._finding(key):
                part = obstore.get_range(self._store, key, start=start, end=end)
            yield bytes(part)

    async def size(self, key: str) -> int:
        import obstore

        with self._finding(key):
            found = await obstore.head_async(self._store, key)
        return int(found["size"])

    async def delete(self, key: str) -> None:
        import obstore

        try:
            with self._asking(cannot_delete):
                await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            log.debug("%s was gone already", key)
        self._note_recovery()

    def list(self, folder: str) -> Iterator[tuple[str, int, datetime]]:
        import obstore

        with self._asking(cannot_read):
            chunks = iter(obstore.list(self._store, folder, chunk_size=LISTED))
        while True:
            with self._asking(cannot_read):
                chunk = next(chunks, ())
            if not chunk:
                return
            self._note_recovery()
            for found in chunk:
                yield found["path"], found["size"], found["last_modified"]

    def sweep_pieces(self, before: datetime, *, is_only_asked: bool) -> tuple[int, int]:
        return 0, 0

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with self._asking(cannot_keep):
                yield
        except FileNotFoundError as error:
            self._note_trouble(error)
            raise cannot_keep("the bucket is not there") from error

    @contextmanager
    def _finding(self, key: str) -> Iterator[None]:
        try:
            with self._asking(cannot_read):
                yield
        except FileNotFoundError:
            raise missing(key) from None
        self._note_recovery()

    @contextmanager
    def _asking(self, refusal: Callable[[str], Unavailable]) -> Iterator[None]:
        """Where a bucket that doesn't answer becomes one sentence, and one line of the log."""
        import obstore

        try:
            yield
        except FileNotFoundError:
            raise
        except (obstore.exceptions.BaseError, OSError) as error:
            self._note_trouble(error)
            raise refusal(_reason(error)) from error

    def _note_trouble(self, error: Exception) -> None:
        if not self._is_away:
            log.error("the bucket of files refuses: %s", _first_line(error))
        self._is_away = True

    def _note_recovery(self) -> None:
        if self._is_away:
            log.warning("the bucket of files answers again")
        self._is_away = False


def _ranges(size: int, offset: int = 0) -> Iterator[tuple[int, int]]:
    """What one request reads. Whoever takes the parts may take hours over them, longer than any connection lives."""
    return ((start, min(start + READ, size)) for start in range(offset, size, READ))


def _open(url: str) -> Any:
    import obstore
    from obstore.store import from_url

    try:
        return from_url(url, retry_config=PATIENCE)  # type: ignore[call-overload]  # the URL says which kind it is
    except (obstore.exceptions.BaseError, ValueError) as error:
        raise Invalid(f"The files can't lie at {url[:256]!r}: {_first_line(error)}") from error


def _reason(error: Exception) -> str:
    # A writer's errors have lost their class; what they say is the same.
    if "The operation lacked" in str(error):
        return "the bucket does not let Rowel in"
    return "the bucket does not answer as it should"


def _first_line(error: Exception) -> str:
    """What obstore says before it shows the inside of the error."""
    return str(error).strip().splitlines()[0][:500] if str(error).strip() else type(error).__name__
