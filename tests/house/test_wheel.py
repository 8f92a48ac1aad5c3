"""What users install: the wheel and the sdist, opened."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.source import ROOT, SOURCE

#: As `vite build` would leave it; git ignores it, and the wheel must have it nevertheless.
WEB_PAGE = Path("src/rowel/web/dist/index.html")


#: The server's templates.
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a wheel and an sdist, built from a copy of the source that has a built web app."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ["pyproject.toml", "README.md", ".gitignore"]:
        shutil.copy(ROOT / name, copy)
    shutil.copytree(SOURCE, copy / "src" / "rowel")
    shutil.copytree(EXAMPLES, copy / "examples")
    (copy / WEB_PAGE).parent.mkdir(parents=True, exist_ok=True)
    (copy / WEB_PAGE).touch()
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(copy / "built")]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return copy / "built"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Iterator[zipfile.ZipFile]:
    (path,) = built.glob("rowel-*-py3-none-any.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def in_sdist(built: Path) -> set[str]:
    (path,) = built.glob("rowel-*.tar.gz")
    with tarfile.open(path) as archive:
        return {name.split("/", 1)[1] for name in archive.getnames()}


def _source_files() -> set[str]:
    return {
        str(path.relative_to(SOURCE.parent))
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and "dist" not in path.parts
    }


def _example_files() -> set[str]:
    return {str(path.relative_to(ROOT)) for path in EXAMPLES.rglob("*") if path.is_file()}


def test_the_wheel_holds_the_whole_package(wheel):
    assert _source_files() - set(wheel.namelist()) == set()


def test_the_wheel_holds_nothing_but_the_package(wheel):
    metadata = {name for name in wheel.namelist() if name.startswith("rowel-")}

    examples = {f"rowel/{name}" for name in _example_files()}

    others = set(wheel.namelist()) - metadata - _source_files() - examples
    assert others == {str(WEB_PAGE.relative_to("src"))}


def test_the_wheel_brings_the_examples_as_the_servers_templates(wheel):
    assert {f"rowel/{name}" for name in _example_files()} - set(wheel.namelist()) == set()


@pytest.mark.parametrize("name", ["rowel/py.typed", "rowel/core/planner.py", "rowel/store/migrations/env.py"])
def test_the_wheel_holds_types_core_and_migrations(wheel, name):
    assert name in wheel.namelist()


def test_the_wheel_brings_the_command(wheel):
    (entry_points,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]

    assert "rowel = rowel.cli.main:main" in wheel.read(entry_points).decode()


def test_the_sdist_can_build_the_same_wheel(in_sdist):
    needed = {f"src/{name}" for name in _source_files()} | _example_files()
    needed |= {str(WEB_PAGE), "pyproject.toml", "README.md"}

    assert needed - in_sdist == set()


def test_the_sdist_brings_neither_tests_nor_locks(in_sdist):
    assert {name for name in in_sdist if name.startswith(("tests/", "requirements/", "."))} - {
        ".gitignore"
    } == set()


def test_the_wheel_drills_without_a_checkout(built, tmp_path):
    (path,) = built.glob("rowel-*-py3-none-any.whl")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "installed")
    command = [sys.executable, "-m", "rowel", "drill", "--rows", "8", "--kills", "1"]
    environment = {"PATH": os.defpath, "PYTHONPATH": str(tmp_path / "installed"), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing was lost" in done.stdout
