"""The law of direction: kept as the source stands, and broken by each import that it forbids."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.source import ROOT, SOURCE

#: contract -> (the file that gets a forbidden import, what it imports)
PLANTED = {
    "Dependencies point down": ("core/status.py", "rowel.store"),
    "The client stands alone": ("client/__init__.py", "rowel.core.errors"),
    "Only the command line and the embedded engine use the client": ("engine/__init__.py", "rowel.client"),
    "The core does no I/O": ("core/errors.py", "time"),
    "Only the engine moves runs": ("api/__init__.py", "rowel.store.journal"),
    "Only the store speaks SQL": ("engine/__init__.py", "sqlalchemy"),
    "Only the edge serves HTTP": ("nodes/base.py", "fastapi"),
    "Node types do not know each other": ("nodes/builtin/planted.py", "rowel.nodes.builtin.planted_too"),
}


def _lint(directory: Path) -> str:
    """What lint-imports says about the source in `directory`."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("imports")
    shutil.copy(ROOT / ".importlinter", directory)
    shutil.copytree(SOURCE, directory / "src" / "rowel", ignore=shutil.ignore_patterns("__pycache__"))
    return directory


@pytest.fixture(scope="module")
def verdict_on_planted(copy: Path) -> str:
    package = copy / "src" / "rowel"
    (package / "nodes" / "builtin" / "planted_too.py").touch()
    for file, imported in PLANTED.values():
        with (package / file).open("a") as source:
            source.write(f"\nimport {imported}\n")
    return _lint(copy)


def test_the_source_keeps_every_contract():
    verdict = _lint(ROOT)

    assert "BROKEN" not in verdict, verdict
    assert f"{len(PLANTED)} kept, 0 broken" in verdict


@pytest.mark.parametrize("contract", PLANTED)
def test_a_forbidden_import_breaks_its_contract(contract, verdict_on_planted):
    file, imported = PLANTED[contract]
    importer = ".".join(["rowel", *Path(file).with_suffix("").parts]).removesuffix(".__init__")
    section = verdict_on_planted.partition(f"\n{contract}\n---")[2].partition("\n\n\n")[0]

    assert f"{importer} -> {imported} (l." in section, verdict_on_planted


def test_a_new_layer_must_be_given_its_place(tmp_path):
    shutil.copytree(SOURCE, tmp_path / "src" / "rowel", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    (tmp_path / "src" / "rowel" / "unplaced.py").touch()

    assert "unplaced" in _lint(tmp_path)
