"""What one call printed, up to a limit."""

from __future__ import annotations

from collections.abc import Callable

from rowel.nodes.clients.sandbox.guest.runtime import PRINT_LIMIT


class Printed:
    """Collects text from whatever thread, and hands it on in lines."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._room = PRINT_LIMIT

    def write(self, text: str) -> None:
        if self._room > 0:
            self._parts.append(text[: self._room])
            self._room -= len(text)

    def clear(self) -> None:
        """Forget it: the code is run once more."""
        self._parts, self._room = [], PRINT_LIMIT

    def hand_to(self, log: Callable[[str], None] | None) -> None:
        """Give `log` every line, and a last one where something is missing."""
        if log is None:
            return
        for line in "".join(self._parts).splitlines():
            log(line)
        if self._room <= 0:
            log(f"(more than {PRINT_LIMIT // 1024} KiB were printed; the rest was dropped)")
