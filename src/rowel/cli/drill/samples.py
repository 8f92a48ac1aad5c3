"""The workflows of a drill, and what is asked of them. Their definitions lie in `workflows/`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

from rowel.cli.drill.history import Order, Row, Sample
from rowel.cli.drill.trace import REFUSED

WORKFLOWS = Path(__file__).parent / "workflows"

CHAIN = Sample(name="chain", calls=frozenset({"a", "b", "c"}))
LOOP = Sample(name="loop", calls=frozenset({"inner", "after"}))
ROUTER = Sample(name="router", calls=frozenset({"left", "right"}))
APPROVAL = Sample(
    name="approval",
    calls=frozenset({"before", "agreed", "signed", "refused"}),
    asks=frozenset({"agree", "sign"}),
    declinable=frozenset({"sign"}),
)
NESTED = Sample(name="nested", calls=frozenset({"after"}))
PYTHON = Sample(name="python", calls=frozenset({"after"}))
ONCE = Sample(name="once", calls=frozenset({"only_once", "after"}), calls_once=frozenset({"only_once"}))
WAITING = Sample(name="waiting", calls=frozenset({"before"}), asks=frozenset({"agree"}), stays_paused=True)
ROWS = Sample(name="rows", calls=frozenset({"book", "confirm"}))

#: In this order they are made: a nested one names the chain.
SAMPLES: Mapping[str, Sample] = {
    sample.name: sample for sample in (CHAIN, LOOP, ROUTER, APPROVAL, NESTED, PYTHON, ONCE, WAITING, ROWS)
}

#: How often each kind of single run is ordered, beside the others.
_SHARES = {CHAIN: 5, LOOP: 3, ROUTER: 3, APPROVAL: 5, NESTED: 2, PYTHON: 2, ONCE: 4, WAITING: 1}
#: Of a batch's rows one in so many fails.
_FAILS_EACH = 25


def definition_of(name: str, *, trace_url: str, edition: int, chain_id: str) -> dict[str, Any]:
    """The definition of a sample. Each edition is another version."""
    text = (WORKFLOWS / f"{name}.json").read_text()
    given = {'"$EDITION"': str(edition), "$TRACE": trace_url, "$CHAIN": chain_id}
    for place, value in given.items():
        text = text.replace(place, value)
    definition: dict[str, Any] = json.loads(text)
    return definition


def single_orders(dice: Random, prefix: str, count: int) -> Iterator[Order]:
    """Orders of single runs, of every kind."""
    kinds = dice.choices([kind.name for kind in _SHARES], list(_SHARES.values()), k=count)
    for number, kind in enumerate(kinds):
        yield Order(key=f"{prefix}-{number}", sample=kind)


def batch_order(key: str, count: int) -> Order:
    """The order of a batch in which now and then a row fails."""
    rows = tuple(
        Row(f"{key}.{number}", fails=number % _FAILS_EACH == _FAILS_EACH - 1) for number in range(count)
    )
    return Order(key=key, sample=ROWS.name, rows=rows)


def inputs_of(order: Order, dice: Random) -> dict[str, dict[str, Any]]:
    """The inputs of a single run."""
    fields = {"key": order.key}
    if order.sample == ROUTER.name:
        fields["side"] = dice.choice(("left", "right"))
    return {"input_node": fields}


def dataset_of(order: Order) -> str:
    """The rows of a batch as CSV."""
    lines = (f"{row.key},{REFUSED if row.fails else 'ok'}\n" for row in order.rows)
    return f"key,wish\n{''.join(lines)}"
