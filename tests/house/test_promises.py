"""Every promise has a proof, every proof has something that turns it red, and the page says which."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from rowel.cli.drill.harms import Harm
from tests.support.mutants import MUTANTS, Change, Moved, Mutant
from tests.support.source import ROOT, SOURCE

PAGE = (ROOT / "docs" / "promises.md").read_text()
#: By promise: its sentence, its tests, its mutants, and whether the checker decides it.
ROWS = {
    cells[0]: cells[1:]
    for line in PAGE.splitlines()
    if re.match(r"\| [A-Z]\d+ \|", line)
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}
PROMISES = [
    "D1",
    "D2",
    "D3",
    "D4",
    "D5",
    "D6",
    "D7",
    "D8",
    "D9",
    "D10",
    "D12",
    "D13",
    "D14",
    "C1",
    "C3",
    "A1",
    "A4",
]


def proofs_of(promise: str) -> list[str]:
    return re.findall(r"`([^`]+)`", ROWS[promise][1])


def test_the_page_lists_every_promise_once_with_a_sentence() -> None:
    assert list(ROWS) == PROMISES
    for promise, (sentence, *_) in ROWS.items():
        assert sentence.endswith("."), promise


@pytest.mark.parametrize("promise", PROMISES)
def test_every_promise_is_proved_by_tests_that_are_there(promise: str) -> None:
    assert proofs_of(promise)
    for test in proofs_of(promise):
        file, name = test.split("::")
        assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE), test


@pytest.mark.parametrize("promise", PROMISES)
def test_the_page_names_the_mutants_of_each_promise_and_the_tests_that_notice_them(promise: str) -> None:
    own = [mutant for mutant in MUTANTS if mutant.promise == promise]
    assert own, "a promise without a mutant may be kept by nobody"
    assert ROWS[promise][2].split("; ") == [mutant.name for mutant in own]
    noticing = {test.partition("[")[0] for mutant in own for test in mutant.tests}
    assert noticing <= set(proofs_of(promise))


def test_the_page_says_which_promises_the_checker_decides() -> None:
    told = {promise for promise, row in ROWS.items() if row[3] == "yes"}
    assert told == {harm.promise for harm in Harm}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_still_finds_what_it_changes_and_leaves_python(mutant: Mutant, tmp_path: Path) -> None:
    for change in mutant.changes:
        copy = tmp_path / change.file
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text((SOURCE / change.file).read_text())
    mutant.apply(tmp_path)
    for change in mutant.changes:
        source = (tmp_path / change.file).read_text()
        assert source != (SOURCE / change.file).read_text()
        compile(source, change.file, "exec")


def test_mutants_have_names_of_their_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_a_change_whose_place_is_gone_or_not_clear_says_so() -> None:
    change = Change("a.py", "x = 1", "x = 2")
    assert change.applied("x = 1\n") == "x = 2\n"
    for source in ("y = 1\n", "x = 1\nx = 1\n"):
        with pytest.raises(Moved, match=r"a\.py"):
            change.applied(source)


# The script


@pytest.fixture
def script() -> Iterator[ModuleType]:
    path, kept = ROOT / "scripts" / "mutants.py", list(sys.path)
    spec = importlib.util.spec_from_file_location("mutants_script", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = kept


COUNTING = "tests/store/test_journal.py::test_a_batch_counts_each_row_that_ended_once[sqlite-COMPLETED]"


def judged(script: ModuleType, tmp_path: Path, *mutants: Mutant) -> list[dict[str, str]]:
    copies = script.Copies(tmp_path, 1)
    return [script.judge(copies, mutant) for mutant in mutants]


def test_a_mutant_is_red_where_its_test_notices_it_and_gone_afterwards(
    script: ModuleType, tmp_path: Path
) -> None:
    (mutant,) = [mutant for mutant in MUTANTS if COUNTING in mutant.tests]
    harmless = Mutant(
        "harmless", "D7", (Change("store/journal.py", "class Journal:", "class Journal:  # x"),), (COUNTING,)
    )
    moved = Mutant("moved", "D7", (Change("store/journal.py", "no such line", ""),), (COUNTING,))
    assert judged(script, tmp_path, mutant, harmless, moved) == [
        {COUNTING: script.RED},
        {COUNTING: script.GREEN},
        {COUNTING: script.BROKEN},
    ]
    assert (tmp_path / "0/rowel/store/transitions.py").read_text() == (
        SOURCE / "store/transitions.py"
    ).read_text()


def test_words_choose_among_mutants(script: ModuleType) -> None:
    chosen = [mutant.name for mutant in MUTANTS if script.is_wanted(mutant, ["epoch"])]
    assert chosen == ["the fence has no epoch", "a takeover does not raise the epoch"]
    assert all(script.is_wanted(mutant, []) for mutant in MUTANTS)
    with pytest.raises(SystemExit, match="no mutant is called so"):
        script.main(["nothing like this"])
