"""What a process logs: as lines of text, or as lines of JSON, with the run, the task and the request at hand.

Never in a log: bodies, headers, and what stands before the `@` of a URL, or is the value of a provider's key.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from rowel.engine.observer import PLACE, REQUEST

TEXT, JSON = "text", "json"

#: What stands for a secret.
HIDDEN = "***"
_USER_INFO = re.compile(r"(?<=://)[^/\s@'\"]+@")
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
#: Shorter values than this may be words that lines have anyhow.
SHORTEST_SECRET = 8

#: What clients send wrongly is told to them; what the queue's parts meet is told by ours.
CHATTY = ("python_multipart", "uvicorn", "psycopg.pool", "procrastinate")
QUEUE = "procrastinate"


def begin_logging(form: str = TEXT, environment: Mapping[str, str] | None = None) -> None:
    """Log warnings and worse to stderr, unless somebody has set up logging already."""
    logging.basicConfig(level=logging.WARNING, handlers=[make_handler(form, environment)])
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.ERROR)


def make_handler(form: str, environment: Mapping[str, str] | None = None) -> logging.Handler:
    """What writes lines to stderr. Values of `environment` that are secrets by their names are hidden."""
    handler = logging.StreamHandler()
    handler.setFormatter(Scrubbed(_json() if form == JSON else _text(), secrets(environment or {})))
    handler.addFilter(shorten)
    return handler


def secrets(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values that no line may show, the longest first."""
    found = {
        value
        for name, value in environment.items()
        if _SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET
    }
    return tuple(sorted(found, key=len, reverse=True))


def at_hand() -> dict[str, str | int]:
    """The ids of what the code at hand works for."""
    place, request_id = PLACE.get(), REQUEST.get()
    found: dict[str, str | int] = {"request_id": request_id} if request_id else {}
    if place is not None:
        found["run_id"] = place.run_id
        if place.task_id:
            found |= {"node_id": place.node_id, "task_id": place.task_id, "attempt": place.attempt}
    return found


def shorten(record: logging.LogRecord) -> bool:
    """The queue's library tells by a traceback that Postgres went away, and Rowel takes it up by itself: a sentence is
    enough."""
    if record.name.split(".")[0] == QUEUE and getattr(record, "action", "").endswith("listener_error"):
        record.exc_info, record.exc_text, record.args = None, None, ()
        record.msg = "the queue's listener lost its connection to Postgres, and comes back"
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


class Scrubbed(logging.Formatter):
    """Another formatter's lines, without secrets."""

    def __init__(self, inner: logging.Formatter, hidden: tuple[str, ...]) -> None:
        super().__init__()
        self._inner = inner
        self._hidden = hidden

    def format(self, record: logging.LogRecord) -> str:
        line = _USER_INFO.sub(f"{HIDDEN}@", self._inner.format(record))
        for secret in self._hidden:
            line = line.replace(secret, HIDDEN)
        return line


class _Text(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name that logging calls
        line = super().formatMessage(record)
        ids = " ".join(f"{name}={value}" for name, value in at_hand().items())
        return f"{line} [{ids}]" if ids else line


def _text() -> logging.Formatter:
    return _Text("%(asctime)s %(levelname)s %(name)s: %(message)s")


def _json() -> logging.Formatter:
    import structlog

    def bind(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**event, **at_hand()}

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            bind,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    )
