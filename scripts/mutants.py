"""Breaks each promise in a copy of the source, one after another, and sees that its test turns red.

`make mutants`, or `make mutants MUTANTS="fence epoch"` for those whose name, promise or test holds one of the words.
Prints a table; ends with 1 where a mutant survives, or where the source has moved from under it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from rich.markup import escape  # noqa: E402  # the path comes first
from rich.table import Table  # noqa: E402
from tests.support.mutants import MUTANTS, Moved, Mutant  # noqa: E402

from rowel.cli.looks import console  # noqa: E402

RED, GREEN, BROKEN = "red", "SURVIVED", "BROKEN"
#: What pytest's exit codes say: tests failed, all passed. Anything else is no verdict.
_VERDICTS = {1: RED, 0: GREEN}
#: Seconds after which a test that hangs on a mutant counts as red.
PATIENCE_S = 120.0


class Copies:
    """Copies of the source, one for each of those who work at the same time."""

    def __init__(self, home: Path, count: int) -> None:
        self._free: SimpleQueue[Path] = SimpleQueue()
        for number in range(count):
            copy = home / str(number)
            shutil.copytree(ROOT / "src", copy, ignore=shutil.ignore_patterns("__pycache__"))
            self._free.put(copy)

    @contextmanager
    def taken(self) -> Iterator[Path]:
        copy = self._free.get()
        try:
            yield copy
        finally:
            self._free.put(copy)


def main(words: Sequence[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if is_wanted(mutant, words)]
    if not chosen:
        raise SystemExit(f"no mutant is called so; there are: {', '.join(mutant.name for mutant in MUTANTS)}")
    begun, hands = time.monotonic(), os.cpu_count() or 1
    names = [mutant.name for mutant in chosen]
    with tempfile.TemporaryDirectory(prefix="rowel-mutants-") as home, ThreadPoolExecutor(hands) as pool:
        copies = Copies(Path(home), hands)
        tests = sorted({test for mutant in chosen for test in mutant.tests})
        healthy = pool.submit(check_health, copies, tests)
        verdicts = list(pool.map(lambda mutant: judge(copies, mutant), chosen))
        trouble = healthy.result()
    show(chosen, verdicts)
    noticed = [name for name, found in zip(names, verdicts, strict=True) if {*found.values()} == {RED}]
    if trouble:
        console.print(
            f"[red]Without any mutant these tests are not green, so that red says nothing:[/]\n{trouble}"
        )
    took_s = time.monotonic() - begun
    console.print(f"{len(noticed)} of {len(chosen)} mutants turn all their tests red; {took_s:.0f} s.")
    return 0 if noticed == names and not trouble else 1


def is_wanted(mutant: Mutant, words: Sequence[str]) -> bool:
    text = " ".join((mutant.name, mutant.promise, *mutant.tests)).lower()
    return not words or any(word.lower() in text for word in words)


def check_health(copies: Copies, tests: Sequence[str]) -> str:
    """What the tests say where nothing is broken; nothing if they pass."""
    with copies.taken() as copy:
        done = run(copy, tests, PATIENCE_S * 5)
    return "" if done.returncode == 0 else done.stdout[-4000:]


def judge(copies: Copies, mutant: Mutant) -> dict[str, str]:
    """What each of its tests says about the mutant."""
    with copies.taken() as copy:
        package = copy / "rowel"
        before = {change.file: (package / change.file).read_text() for change in mutant.changes}
        try:
            mutant.apply(package)
            for file in before:
                compile((package / file).read_text(), file, "exec")
            forget(package, before)
            return {test: verdict_of(copy, test) for test in mutant.tests}
        except (Moved, SyntaxError) as error:
            console.print(f"{mutant.name}: {error}", style="red", markup=False)
            return dict.fromkeys(mutant.tests, BROKEN)
        finally:
            for file, text in before.items():
                (package / file).write_text(text)
            forget(package, before)


def verdict_of(copy: Path, test: str) -> str:
    """Whether a test notices what was done to the copy. A test that hangs does."""
    try:
        done = run(copy, [test])
    except subprocess.TimeoutExpired:
        return RED
    verdict = _VERDICTS.get(done.returncode, BROKEN)
    if verdict is BROKEN:
        console.print(done.stdout[-2000:], markup=False)
    return verdict


def run(copy: Path, tests: Sequence[str], patience_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
    """Run tests of this checkout on a copy of its source."""
    options = ("-q", "-p", "no:cacheprovider", "--no-header", "-o", f"pythonpath={copy} {ROOT}")
    environment = {**os.environ, "PYTHONPATH": f"{copy}{os.pathsep}{ROOT}", "CI": "true"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=patience_s,
        check=False,
    )


def forget(package: Path, files: Iterable[str]) -> None:
    """Remove what Python compiled of these files: two changes of one second look alike to it."""
    for file in files:
        path = package / file
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
            compiled.unlink()


def show(mutants: Sequence[Mutant], verdicts: Sequence[Mapping[str, str]]) -> None:
    table = Table(show_edge=False, pad_edge=False)
    for name in ("mutant", "promise", "test", ""):
        table.add_column(name, overflow="fold")
    for mutant, found in zip(mutants, verdicts, strict=True):
        name, promise = mutant.name, mutant.promise
        for test, verdict in found.items():
            style = "green" if verdict is RED else "bold red"
            table.add_row(name, promise, escape(test.rpartition("::")[2]), f"[{style}]{verdict}[/]")
            name = promise = ""
    console.print(table)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
