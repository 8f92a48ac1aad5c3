"""SQLAlchemy Core statements compiled once to strings, to be run on the driver's cursor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine.interfaces import Dialect as SQLDialect
from sqlalchemy.sql import ClauseElement

#: SQL and its positional parameters.
Step = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Statement:
    """One compiled statement; `names` are its parameters in order."""

    sql: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]

    def bind(self, values: Mapping[str, Any]) -> Step:
        """Return the statement with its values, ready for a cursor."""
        constants = self.constants
        return self.sql, tuple([values[name] if name in values else constants[name] for name in self.names])


def compile_statement(statement: ClauseElement, dialect: SQLDialect) -> Statement:
    """Compile `statement` for a dialect with positional parameters."""
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    return Statement(
        sql=str(compiled),
        names=tuple(compiled.positiontup or ()),  # type: ignore[attr-defined]  # SQLCompiler's own, missing on Compiled
        constants={name: value for name, value in compiled.params.items() if value is not None},
    )
