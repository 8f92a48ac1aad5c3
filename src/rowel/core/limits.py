"""How often models may be called, and by how many at once: the arithmetic. Times are seconds of any one clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

#: What a limit may say, and the most that it may.
FIELDS = ("requests_per_minute", "tokens_per_minute", "at_once")
MOST = 10**12
#: A little more than a minute, so that no rounding lets one too many go.
MINUTE_S = 60.001
#: The pattern that fits every model.
EVERY_MODEL = "*"
MOST_AT_ONCE = 10_000


class Bucket(NamedTuple):
    """So much in any minute. A tenth of it may go at once; the rest is spread evenly over the minute (GCRA).

    The state of a bucket is one number: the time at which everything taken so far will have been earned.
    """

    per_minute: int

    @property
    def burst(self) -> int:
        return max(1, self.per_minute // 10)

    @property
    def interval(self) -> float:
        """Seconds in which one is earned: so long that what goes at once and what is earned make no more than the
        limit in any minute."""
        return MINUTE_S / (self.per_minute - self.burst + 1)

    def ready_at(self, earned_at: float, count: int, *, is_row: bool) -> float:
        """When `count` may be taken. Rows of batches leave half of the burst to others. Who wants more than may go at
        once gets it when all that may is there, and the others wait for the difference afterwards."""
        room = self.burst - self.burst // 2 if is_row else self.burst
        return earned_at - (room - min(count, room)) * self.interval

    def taken(self, earned_at: float, count: int, now: float) -> float:
        return max(earned_at, now) + count * self.interval


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What those who share it may do together. None: as much as they like."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    at_once: int | None = None

    @classmethod
    def read(cls, value: Any) -> Limit:
        """Raises `ValueError` saying what it must be."""
        if not isinstance(value, Mapping) or not value or not set(value) <= set(FIELDS):
            raise ValueError(f"an object with {', '.join(FIELDS)}, one of them or more")
        for name, number in value.items():
            most = MOST_AT_ONCE if name == "at_once" else MOST
            if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= most:
                raise ValueError(f"a whole number from 1 to {most:,} for {name}")
        return cls(**value)

    @property
    def requests(self) -> Bucket | None:
        return None if self.requests_per_minute is None else Bucket(self.requests_per_minute)

    @property
    def tokens(self) -> Bucket | None:
        return None if self.tokens_per_minute is None else Bucket(self.tokens_per_minute)

    def places(self, *, is_row: bool) -> int | None:
        """How many of those at once may be rows of batches, or all of them: of ten places rows leave one to others."""
        if self.at_once is None:
            return None
        return self.at_once - self.at_once // 10 if is_row else self.at_once


UNLIMITED = Limit()


class Scope(NamedTuple):
    """Who shares one limit: the calls of a model, of a provider, of a workflow."""

    key: str
    #: What people call it.
    name: str
    limit: Limit


@dataclass(frozen=True)
class Limits:
    """The limits of a process: {`provider/model`, `provider/*` or `*`: limit}. A call keeps to all that fit it."""

    by_pattern: Mapping[str, Limit] = field(default_factory=dict)

    def scopes_of(self, model: str) -> tuple[Scope, ...]:
        """What a call of `provider/model` shares with others. The model itself comes first, limited or not: what its
        provider asks for counts for all who call it."""
        own = Scope(model, model, self.by_pattern.get(model, UNLIMITED))
        wider = (f"{model.partition('/')[0]}/*", EVERY_MODEL)
        return own, *(Scope(key, key, self.by_pattern[key]) for key in wider if key in self.by_pattern)


class Ask(NamedTuple):
    """What one call wants: itself, and about so many tokens."""

    tokens: int
    is_row: bool


@dataclass(frozen=True)
class State:
    """What was taken from one scope."""

    #: When all requests, and all tokens, that were taken will have been earned.
    requests_at: float = 0.0
    tokens_at: float = 0.0
    #: The provider said that nobody should ask before.
    held_until: float = 0.0
    #: Calls under way.
    in_use: int = 0


NOTHING_TAKEN = State()


class Wait(NamedTuple):
    """Why a call can't be made now, and when to look again; None: when another call has ended."""

    until: float | None
    why: str
    is_hold: bool = False


class Taken(NamedTuple):
    """How many may go, and what the next one waits for; `until` is by the clock of the caller."""

    going: int
    wait: Wait | None


class Served(NamedTuple):
    """How many of those who asked may go, the states after that, and what the next one waits for."""

    going: int
    states: Mapping[str, State]
    wait: Wait | None


def serve(scopes: Sequence[Scope], states: Mapping[str, State], asks: Sequence[Ask], now: float) -> Served:
    """Let go as many of those who ask, in their order, as all scopes allow. Nobody overtakes."""
    left = {scope.key: states.get(scope.key, NOTHING_TAKEN) for scope in scopes}
    for count, ask in enumerate(asks):
        waits = [wait for scope in scopes if (wait := _wait(scope, left[scope.key], ask, now)) is not None]
        if waits:
            return Served(count, left, _longest(waits))
        left = {scope.key: _taken(scope.limit, left[scope.key], ask, now) for scope in scopes}
    return Served(len(asks), left, None)


def corrected(limit: Limit, ask: Ask, tokens: int | None) -> float:
    """The seconds by which `tokens_at` moves once it is known that a call used so many; None: nobody knows."""
    bucket = limit.tokens
    return 0.0 if bucket is None or tokens is None else (tokens - ask.tokens) * bucket.interval


def given_back(limit: Limit, state: State, ask: Ask, tokens: int | None) -> State:
    """A call has ended, and used so many `tokens`."""
    tokens_at = state.tokens_at + corrected(limit, ask, tokens)
    return replace(state, tokens_at=tokens_at, in_use=max(0, state.in_use - 1))


def is_idle(state: State, now: float) -> bool:
    """Whether it makes no difference any more."""
    return state.in_use == 0 and max(state.requests_at, state.tokens_at, state.held_until) <= now


def _wait(scope: Scope, state: State, ask: Ask, now: float) -> Wait | None:
    waits = [wait for wait in _waits(scope, state, ask) if wait.until is None or wait.until > now]
    return _longest(waits) if waits else None


def _waits(scope: Scope, state: State, ask: Ask) -> Iterator[Wait]:
    limit, name = scope.limit, scope.name
    yield Wait(state.held_until, f"{name}: the provider asked to wait", is_hold=True)
    if (bucket := limit.requests) is not None:
        ready_at = bucket.ready_at(state.requests_at, 1, is_row=ask.is_row)
        yield Wait(ready_at, f"{name}: {bucket.per_minute} requests a minute")
    if (bucket := limit.tokens) is not None:
        ready_at = bucket.ready_at(state.tokens_at, ask.tokens, is_row=ask.is_row)
        yield Wait(ready_at, f"{name}: {bucket.per_minute} tokens a minute")
    places = limit.places(is_row=ask.is_row)
    if places is not None and state.in_use >= places:
        yield Wait(None, f"{name}: {limit.at_once} at once")


def _longest(waits: Sequence[Wait]) -> Wait:
    """The last that ends. An end that nobody knows is waited for first: until then the others may have passed."""
    unknown = next((wait for wait in waits if wait.until is None), None)
    return unknown or max(waits, key=lambda wait: wait.until or 0.0)


def _taken(limit: Limit, state: State, ask: Ask, now: float) -> State:
    requests, tokens = limit.requests, limit.tokens
    return replace(
        state,
        requests_at=state.requests_at if requests is None else requests.taken(state.requests_at, 1, now),
        tokens_at=state.tokens_at if tokens is None else tokens.taken(state.tokens_at, ask.tokens, now),
        in_use=state.in_use + 1,
    )
