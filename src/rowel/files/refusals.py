"""What is said of files that are not there, and of places that don't take or give any."""

from __future__ import annotations

from rowel.core.errors import NotFound, Unavailable


def missing(key: str) -> NotFound:
    return NotFound(f"Rowel has no file {key[:256]!r}.")


def cannot_keep(why: str) -> Unavailable:
    """A full disk or an unreachable bucket is no fault of the client's."""
    return Unavailable(f"The file can't be kept at the moment ({why}); try again later.")


def cannot_read(why: str) -> Unavailable:
    return Unavailable(f"The file can't be read at the moment ({why}); try again later.")


def cannot_delete(why: str) -> Unavailable:
    return Unavailable(f"The file can't be deleted at the moment ({why}); try again later.")
