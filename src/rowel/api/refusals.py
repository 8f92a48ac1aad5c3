"""What routes may refuse, for their documentation."""

from __future__ import annotations

from typing import Any

from rowel.api.schemas import Refusal

MEANINGS = {
    400: "The inputs don't fit the workflow.",
    403: "The request comes from a foreign site.",
    404: "An id names nothing.",
    409: "The state of the run refuses this; the answer names it.",
    413: "The body is larger than the limit, which the answer names.",
    415: "The body has a content type that is not taken here.",
    422: "Something in the request is wrong; the answer says what and where.",
    429: "Too much is queued; `Retry-After` says when to try again.",
    503: "The store can't be read or written at the moment, or the server is about to end. The answer says whether "
    "nothing was changed or that is not known; `Retry-After` says when to try again.",
}

Responses = dict[int | str, dict[str, Any]]


def refusals(*statuses: int) -> Responses:
    """The `responses=` of a route that refuses with these."""
    return {status: {"model": Refusal, "description": MEANINGS[status]} for status in statuses}


def documented_refusals(*, has_id: bool, writes: bool, has_parameters: bool) -> Responses:
    """What every route of this kind may refuse."""
    statuses = {403, 503}
    if has_id:
        statuses |= {404}
    if writes:
        statuses |= {413, 415, 422}
    if has_parameters:
        statuses |= {422}
    return refusals(*sorted(statuses))
