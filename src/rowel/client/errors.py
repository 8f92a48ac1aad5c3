"""Everything that can go wrong between you and a Rowel server.

RowelClientError
├── ConnectionLost      the server can't be reached, or went away before it answered
├── UnexpectedAnswer    what answered doesn't speak Rowel's API
├── Refused             the server said no: .status, .code and .detail are its own
│   ├── InvalidRequest      something in the request is wrong (400, 413, 422, ...)
│   ├── NotAllowed          no key, a wrong one, or a role that may not (401, 403)
│   ├── NotFound            an id that names nothing (404)
│   ├── Conflict            the state of a run or pause refuses this (409)
│   │   └── InProgress          the first request with this key is still being worked on
│   ├── ServerBusy          too much is queued, or the store takes no writes: try later (429, 503)
│   └── ServerFailed        the server, or a proxy before it, broke down (500, 502, 504)
└── NotCompleted        the run has no outputs to give: .run says where it stands
    ├── RunFailed           it is FAILED
    │   └── RunCanceled         it is CANCELED
    ├── RunPaused           it waits for a person
    └── StillRunning        the time you gave it is up; the run goes on

The message is the server's own sentence wherever it sent one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rowel.client.models import Run


class RowelClientError(Exception):
    """Something the client was asked for did not happen. `str(error)` is a sentence for people."""


class ConnectionLost(RowelClientError):
    """The server can't be reached, or the connection broke before the whole answer was here.

    `may_have_arrived` is False where the request certainly never reached the server.
    """

    def __init__(self, message: str, *, may_have_arrived: bool = True) -> None:
        super().__init__(message)
        self.may_have_arrived = may_have_arrived


class UnexpectedAnswer(RowelClientError):
    """What answered does not speak Rowel's API. Is the address right, and is it Rowel that listens there?"""


class Refused(RowelClientError):
    """The server said no.

    `status` is the HTTP status, `code` the stable word of the answer (None where it sent none), `detail` its
    `detail` as it came: a sentence, or for invalid requests the list of what is wrong and where.
    """

    def __init__(self, status: int, detail: Any, code: str | None = None) -> None:
        super().__init__(sentence(detail))
        self.status = status
        self.detail = detail
        self.code = code


class InvalidRequest(Refused):
    """Something in the request is wrong; `detail` says what and where."""


class NotAllowed(Refused):
    """The server wants an API key, doesn't know this one, or its role may not do this."""


class NotFound(Refused):
    """An id names nothing."""


class Conflict(Refused):
    """The state of the run, pause or batch refuses this; the message names that state."""


class InProgress(Conflict):
    """The first request with this idempotency key is still being worked on: ask again later."""


class ServerBusy(Refused):
    """Too much is queued, or the store takes no writes at the moment. Nothing was changed: try again later."""


class ServerFailed(Refused):
    """The server, or a proxy before it, broke down while it worked on this."""


class NotCompleted(RowelClientError):
    """The run did not complete. `run` is the run as the server last told it."""

    def __init__(self, run: Run, message: str | None = None) -> None:
        super().__init__(message or run.message or f"run {run.id} is {run.status}")
        self.run = run


class RunFailed(NotCompleted):
    """The run failed; the message names the node and its error."""


class RunCanceled(RunFailed):
    """The run was canceled before it completed."""


class RunPaused(NotCompleted):
    """The run waits for a person. `decide` moves it on."""

    def __init__(self, run: Run, message: str | None = None) -> None:
        super().__init__(run, message or run.message or f"run {run.id} waits for a person")


class StillRunning(NotCompleted, TimeoutError):
    """The time given for waiting is up. The run goes on: `run.wait()` waits again."""

    def __init__(self, run: Run, message: str | None = None) -> None:
        super().__init__(run, message or f"run {run.id} is still {run.status}; it goes on")


_BY_STATUS: Mapping[int, type[Refused]] = {
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    429: ServerBusy,
    503: ServerBusy,
}


def refusal(status: int, detail: Any, code: str | None) -> Refused:
    """The error for a refusing answer."""
    if code == "in_progress":
        return InProgress(status, detail, code)
    fallback = ServerFailed if status >= 500 else InvalidRequest
    return _BY_STATUS.get(status, fallback)(status, detail, code)


def sentence(detail: Any) -> str:
    """A `detail` as one sentence: the list of a validation error becomes `place: what; place: what`."""
    if isinstance(detail, list):
        return "; ".join(map(_problem, detail))
    return detail if isinstance(detail, str) else str(detail)


def _problem(item: Any) -> str:
    if not isinstance(item, Mapping) or "msg" not in item:
        return str(item)
    place = ".".join(str(part) for part in item.get("loc", ()) if part != "body")
    return f"{place}: {item['msg']}" if place else str(item["msg"])
