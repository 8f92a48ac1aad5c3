"""Keyset cursors: a list goes on behind the last run that was shown, whatever has begun since."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from urllib.parse import urlencode

from starlette.requests import Request

from rowel.api.errors import mistake
from rowel.api.ids import known_id
from rowel.core.errors import NotFound
from rowel.core.records import Run

#: What a link to the next part of a list replaces.
_REPLACED = {"cursor", "page"}


def cursor_after(run: Run) -> str:
    """The cursor of what follows this run."""
    text = f"{run.start_time.isoformat()} {run.id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """The start time and id of the run that a list goes on behind. Raises a mistake in the query."""
    try:
        text = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode("ascii")
        start, _, run_id = text.partition(" ")
        moment = datetime.fromisoformat(start)
        if moment.tzinfo is None:
            raise ValueError(start)
        return moment, known_id(run_id, "run")
    except (ValueError, binascii.Error, NotFound):
        raise mistake("is no cursor that this list gave", "query", "cursor") from None


def next_link(request: Request, cursor: str) -> dict[str, str]:
    """The header that tells where the list goes on."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    asked = [(name, value) for name, value in request.query_params.multi_items() if name not in _REPLACED]
    query = urlencode([*asked, ("cursor", cursor)], errors="replace")
    return {"Link": f'<{raw.decode("ascii", "replace")}?{query}>; rel="next"'}
