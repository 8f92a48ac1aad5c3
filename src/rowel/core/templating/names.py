"""Titles that are no identifiers, such as `node-1` or `Draft reply`, where a template uses them.

`{{node-1.output}}` may mean a title or a subtraction: the values decide, and a title that is there wins. A title with
spaces is known by the dot or bracket behind it; without one, two names in a row stay the mistake they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from jinja2.lexer import Lexer

from rowel.core.errors import Invalid

#: Tokens of one template: compiling takes about 25 us for each.
MAX_TOKENS = 20_000
#: Words that are never part of a title within a tag.
_KEYWORDS = frozenset(
    "and as block call do elif else endcall endfilter endfor endif endmacro endset endwith false filter for from if "
    "ignore import in include is macro missing none not or recursive set true with without context".split()
)


@dataclass(frozen=True)
class _Run:
    """Tokens that together may be a title: `ends[i]` is the token behind the title `titles[i]`, longest first."""

    start: int
    ends: tuple[int, ...]
    titles: tuple[str, ...]


class Names:
    """A template's source in tokens, and the titles that may be in it. Raises `Invalid` for too many tokens."""

    def __init__(self, lexer: Lexer, source: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        for _, kind, text in lexer.tokeniter(source, None):
            if len(self._tokens) >= MAX_TOKENS:
                raise Invalid(f"the template has more than {MAX_TOKENS:,} words and signs in its tags")
            self._tokens.append((kind, text))
        self._runs = tuple(self._find_runs())
        #: Every title that the template may mean.
        self.candidates = frozenset(title for run in self._runs for title in run.titles)

    def rewrite(self, titles: Collection[str]) -> tuple[str, dict[str, str]]:
        """The source with these titles as identifiers, and {identifier: title}."""
        identifiers: dict[str, str] = {}
        parts: list[str] = []
        done = 0
        for run in self._runs:
            for end, title in zip(run.ends, run.titles, strict=True):
                if title in titles and run.start >= done:
                    parts += [text for _, text in self._tokens[done : run.start]]
                    parts.append(identifiers.setdefault(title, f"_rowel_{len(identifiers)}_"))
                    done = end
        parts += [text for _, text in self._tokens[done:]]
        return "".join(parts), {identifier: title for title, identifier in identifiers.items()}

    def _find_runs(self) -> Iterator[_Run]:
        at = 0
        while at < len(self._tokens):
            words = self._words(at) if self._begins(at) else [at]
            run = self._run(at, words)
            if run.titles:
                yield run
            at = max(words[-1], at) + 1

    def _begins(self, at: int) -> bool:
        return self._is_word(at) and (at == 0 or self._tokens[at - 1][1] not in (".", "|"))

    def _words(self, at: int) -> list[int]:
        """The places of the words in a row from `at` on, joined by nothing, a minus or one space."""
        words = [at]
        while True:
            behind = words[-1] + 1
            if self._is_word(behind):
                words.append(behind)
            elif self._text(behind) in (" ", "-") and self._is_word(behind + 1):
                words.append(behind + 1)
            else:
                return words

    def _run(self, at: int, words: list[int]) -> _Run:
        ends = [word + 1 for word in reversed(words[1:]) if self._is_title(at, word + 1)]
        return _Run(at, tuple(ends), tuple("".join(map(self._text, range(at, end))) for end in ends))

    def _is_title(self, start: int, end: int) -> bool:
        """Only with a minus may it stand alone."""
        signs = {self._text(place) for place in range(start, end) if not self._is_word(place)}
        return signs == {"-"} or self._text(end) in (".", "[")

    def _is_word(self, at: int) -> bool:
        if at >= len(self._tokens):
            return False
        kind, text = self._tokens[at]
        return kind == "integer" or (kind == "name" and text.lower() not in _KEYWORDS)

    def _text(self, at: int) -> str:
        return self._tokens[at][1] if at < len(self._tokens) else ""
