"""What was taken of each limit, where one process does all the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from rowel.core.limits import (
    NOTHING_TAKEN,
    UNLIMITED,
    Ask,
    Scope,
    State,
    Taken,
    given_back,
    is_idle,
    serve,
)

#: States that are looked through for idle ones once they are so many: models come and go by name.
MANY = 1000


class Allowances(Protocol):
    """Counts what is taken of limits."""

    async def take(self, scopes: Sequence[Scope], asks: Sequence[Ask]) -> Taken:
        """Let go as many of those who ask, in order, as all scopes allow."""

    def give_back(self, scopes: Sequence[Scope], ask: Ask, tokens: int | None) -> None:
        """A call that was let go has ended; it used so many tokens, None: nobody knows."""

    def hold(self, scope: Scope, seconds: float) -> None:
        """Let nobody go before so many seconds have passed."""

    async def close(self) -> None:
        """Write what is to be written, and let go of everything."""


class LocalAllowances:
    """In memory, exact."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._states: dict[str, State] = {}

    async def take(self, scopes: Sequence[Scope], asks: Sequence[Ask]) -> Taken:
        served = serve(scopes, self._states, asks, self._now())
        self._states.update(served.states)
        return Taken(served.going, served.wait)

    def give_back(self, scopes: Sequence[Scope], ask: Ask, tokens: int | None) -> None:
        for scope in scopes:
            state = self._states.get(scope.key, NOTHING_TAKEN)
            self._states[scope.key] = given_back(scope.limit, state, ask, tokens)
            if scope.limit == UNLIMITED:
                self._forget(scope.key)
        if len(self._states) > MANY:
            for key in list(self._states):
                self._forget(key)

    def hold(self, scope: Scope, seconds: float) -> None:
        state = self._states.get(scope.key, NOTHING_TAKEN)
        until = max(state.held_until, self._now() + seconds)
        self._states[scope.key] = replace(state, held_until=until)

    async def close(self) -> None:
        self._states.clear()

    def _forget(self, key: str) -> None:
        if is_idle(self._states[key], self._now()):
            del self._states[key]
