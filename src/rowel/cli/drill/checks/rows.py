"""Whether a batch ran every row once, and wrote one record for each, in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from rowel.cli.drill.evidence import Evidence
from rowel.cli.drill.harms import Finding, Harm
from rowel.cli.drill.history import Order, ShownFile, ShownRun
from rowel.client.words import Status


def find_wrong_batches(evidence: Evidence) -> Iterator[Finding]:
    """Every batch that was not canceled has each row, in its runs, in its file and in its counts."""
    for batch in evidence.last.values():
        order = evidence.order(batch)
        if order is None or not order.rows:
            continue
        runs = {run.row_index: run for run in evidence.children.get(batch.id, ())}
        yield from _check_runs(evidence, batch)
        if batch.status is not Status.COMPLETED:
            continue
        for index in range(len(order.rows)):
            if index not in runs:
                yield Finding(Harm.LOST_ROW, f"row {index} of batch {batch.id} has no run")
        file = evidence.files.get(batch.id)
        if file is None:
            yield Finding(Harm.LOST_ROW, f"the output file of batch {batch.id} can't be fetched")
            continue
        yield from _check_lines(batch, order, file)
        yield from _check_contents(batch, order, file, runs)
        yield from _check_counts(batch, order, file)


def _check_runs(evidence: Evidence, batch: ShownRun) -> Iterator[Finding]:
    indexes = Counter(run.row_index for run in evidence.children.get(batch.id, ()))
    for index, count in indexes.items():
        if count > 1:
            yield Finding(Harm.REPEATED_ROW, f"row {index} of batch {batch.id} has {count} runs")


def _check_lines(batch: ShownRun, order: Order, file: ShownFile) -> Iterator[Finding]:
    """Which rows the lines are of."""
    places = list(places_of(file, order))
    counted = Counter(places)
    for index in range(len(order.rows)):
        if not counted[index]:
            yield Finding(Harm.LOST_ROW, f"row {index} of batch {batch.id} is not in its output file")
        elif counted[index] > 1:
            yield Finding(
                Harm.REPEATED_ROW,
                f"row {index} of batch {batch.id} has {counted[index]} lines in its output file",
            )
    if counted[None]:
        yield Finding(
            Harm.WRONG_ROW, f"{counted[None]} lines of the output file of batch {batch.id} are of no row"
        )
    known = [place for place in places if place is not None]
    for earlier, later in pairwise(known):
        if later < earlier:
            yield Finding(
                Harm.ROW_OUT_OF_ORDER,
                f"row {later} of batch {batch.id} comes after row {earlier} in its output file",
            )


def places_of(file: ShownFile, order: Order) -> Iterator[int | None]:
    """The row that each line is of, by what the row said itself; an error record says its number."""
    indexes = {row.key: index for index, row in enumerate(order.rows)}
    for line in file.lines:
        number = line.get("row_index") if is_error(line) else None
        yield number if isinstance(number, int) else indexes.get(line.get("input_node", {}).get("key"))


def is_error(line: Mapping[str, Any]) -> bool:
    return "error" in line


def _check_contents(
    batch: ShownRun, order: Order, file: ShownFile, runs: Mapping[int | None, ShownRun]
) -> Iterator[Finding]:
    """A line says what its row's run does."""
    for index, line in zip(places_of(file, order), file.lines, strict=True):
        run = runs.get(index)
        if index is None or run is None or index >= len(order.rows):
            continue
        is_wrong = not is_error(line) and line != outputs_of(run)
        if is_wrong or is_error(line) is not order.rows[index].fails:
            yield Finding(
                Harm.WRONG_ROW,
                f"row {index} of batch {batch.id} is {run.status} with {outputs_of(run)}, and its line says {line}",
            )


def outputs_of(run: ShownRun) -> dict[str, Any]:
    """{node id: outputs} of what is COMPLETED."""
    return {
        task.node_id: task.outputs
        for task in run.tasks
        if task.status is Status.COMPLETED and not task.is_inner
    }


def _check_counts(batch: ShownRun, order: Order, file: ShownFile) -> Iterator[Finding]:
    failed = sum(row.fails for row in order.rows)
    wanted = (len(order.rows), len(order.rows) - failed, failed)
    told = (file.total, file.completed, file.failed)
    if told != wanted:
        yield Finding(
            Harm.WRONG_COUNT,
            f"batch {batch.id} counts {told[1]} of {told[0]} rows completed and {told[2]} failed, "
            f"not {wanted[1]} of {wanted[0]} and {wanted[2]}",
        )
