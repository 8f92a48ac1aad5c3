"""The pages say what is true: their code runs, their links lead somewhere, their tables are complete."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.main import get_command

from rowel.cli.exits import Exit
from rowel.cli.main import app
from rowel.core.status import PauseAction, RunStatus, TaskStatus
from rowel.nodes import builtin
from rowel.nodes.base import Node
from rowel.nodes.registry import ENTRY_POINT_GROUP, load_registry
from rowel.settings import PREFIX, Settings
from rowel.store.dialect import dialect_of
from rowel.store.journal import Journal
from rowel.store.transitions import Transitions
from tests.support.server import Server
from tests.support.source import ROOT, SOURCE, our_files

README = ROOT / "README.md"
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
ADD_A_NODE = ROOT / "docs" / "add-a-node.md"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
STATES = (ROOT / "docs" / "states.md").read_text()
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
#: Characters of a line of prose; tables can't be broken.
LONGEST_LINE = 130
PAGES = [path for path in our_files() if path.suffix == ".md"]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return [text for said, text in _BLOCK.findall(page.read_text()) if said == language]


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return _BLOCK.sub("", page.read_text())


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    _, _, after = text.partition(f"\n{heading}\n")
    lines = [line for line in re.split(r"\n#+ ", after)[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def anchors(page: Path) -> set[str]:
    """What links to headings of a page may say."""
    headings = _HEADING.findall(prose(page))
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in _LINK.findall(prose(page)):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), f"{target} is not there"
        assert not anchor or anchor in anchors(found), f"{target} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_page_has_one_title_and_no_line_runs_far(page: Path) -> None:
    text = page.read_text()
    assert text.startswith("# ")
    assert len(re.findall("^# ", prose(page), re.MULTILINE)) == 1
    assert [
        line for line in prose(page).splitlines() if len(line) > LONGEST_LINE and not line.startswith("|")
    ] == []


def test_the_map_fits_on_two_hundred_lines() -> None:
    assert len(ARCHITECTURE.read_text().splitlines()) <= 200


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_a_decision_has_forty_lines_at_most_and_all_its_parts(page: Path) -> None:
    text = page.read_text()
    number = int(page.name.partition("-")[0])
    assert text.startswith(f"# {number}. ")
    assert len(text.splitlines()) <= 40
    parts = [text.index(f"\n**{part}.**") for part in ("Context", "Decision", "Consequences")]
    assert parts == sorted(parts)


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))


# The README


def test_the_readme_says_in_five_lines_what_rowel_is() -> None:
    _, about, *_ = README.read_text().split("\n\n")
    assert len(about.splitlines()) == 5


def test_the_first_workflow_runs_here_and_by_curl_on_the_server_that_has_its_directory(
    tmp_path: Path,
) -> None:
    (program,) = blocks(README, "python")
    (curl,) = [block for block in blocks(README, "") if block.startswith("curl ")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    workflow_id, _, outputs = done.stdout.partition(" ")
    assert "Hello, Ada!" in outputs
    with Server(tmp_path / "rowel-data") as server:
        answer = server.http.request(**request_of(curl.replace("$WORKFLOW", workflow_id), server))
    assert answer.status_code == 200
    assert answer.json()["greet"] == {"text": "Hello, Grace!"}


def request_of(curl: str, server: Server) -> dict[str, Any]:
    """What a line of curl would send."""
    _, _, url, *options = shlex.split(curl)
    given = dict(zip(options[::2], options[1::2], strict=True))
    name, _, value = given["-H"].partition(": ")
    return {
        "method": "POST",
        "url": url.replace("http://127.0.0.1:6080", server.url),
        "headers": {name: value},
        "content": given["-d"],
    }


def command_lines() -> Iterator[tuple[str, str]]:
    """Every `rowel ...` line of the pages."""
    for page in PAGES:
        for line in page.read_text().splitlines():
            found = re.match(r"(?:    |)rowel ([a-z]+)( .*|)$", line)
            if found:
                yield name_of(page), line.strip()


@pytest.mark.parametrize(("page", "line"), sorted(set(command_lines())))
def test_a_command_line_on_a_page_is_one_that_rowel_has(page: str, line: str) -> None:
    _, name, *arguments = [word.strip("[]") for word in shlex.split(line, comments=True)]
    command = get_command(app).commands[name]  # type: ignore[attr-defined]  # a group, by its own account
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in arguments if word.startswith("-")} <= known
    for word in arguments:
        path = word.removeprefix("@")
        assert not path.startswith("examples/") or list(ROOT.glob(path)), f"{path} is not there"


def test_what_the_readme_calls_missing_is_missing() -> None:
    """Whoever builds one of these takes it off the page."""
    _, _, text = README.read_text().partition("## What is not there yet")
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    for words, sign in (
        ("web editor", (SOURCE / "web" / "dist").exists()),
        ("API keys", "keys" in commands),
        ("agents", "AgentNode" in load_registry().names),
    ):
        assert (words in text) is not sign, words


# Operations


def test_every_setting_is_documented_with_its_default() -> None:
    told = {row[0].strip("`"): row[1].strip("`") for row in rows(OPERATIONS, "## Settings")}
    defaults = Settings()
    for name in vars(defaults).keys() - {"environment"}:
        value = getattr(defaults, name)
        if value not in (None, (), ""):
            assert told[PREFIX + name.upper()] == str(value)
        assert PREFIX + name.upper() in told


def test_every_variable_of_ours_that_the_source_names_is_documented() -> None:
    named = {
        word
        for path in SOURCE.rglob("*.py")
        for word in re.findall(r"\bROWEL_[A-Z_]+[A-Z]\b", path.read_text())
    }
    assert named <= {row[0].strip("`") for row in rows(OPERATIONS, "## Settings")}


def test_every_documented_variable_is_read() -> None:
    places = [SOURCE / "settings.py", *(SOURCE / "cli").rglob("*.py")]
    others = "".join(path.read_text() for path in places)
    for variable, *_ in rows(OPERATIONS, "## Settings"):
        name = variable.strip("`")
        assert name.removeprefix(PREFIX).lower() in vars(Settings()) or name in others


def test_every_exit_code_is_documented() -> None:
    assert [int(row[0]) for row in rows(OPERATIONS, "## Exit codes")] == sorted(Exit)


# States


@pytest.mark.parametrize("section", ["## Runs", "## Tasks", "## Pauses"])
def test_every_arrow_has_a_letter_and_every_letter_is_explained(section: str) -> None:
    _, _, after = STATES.partition(f"\n{section}\n")
    (_, picture), *_ = _BLOCK.findall(after)
    letters = re.findall(r"\(([a-z])\)", picture)
    explained = [row[0] for row in rows(STATES, section)]
    assert sorted(letters) == explained


@pytest.mark.parametrize("section", ["## Runs", "## Tasks", "## Pauses"])
def test_every_arrow_is_made_by_a_group_and_by_statements_that_exist(section: str) -> None:
    statements = vars(Transitions(dialect_of("sqlite:///:memory:")))
    for letter, _, groups, made_by in rows(STATES, section):
        for group in re.findall(r"`(\w+)`", groups):
            assert inspect.iscoroutinefunction(getattr(Journal, group, None)), f"({letter}) {group}"
        for statement in re.findall(r"`(\w+)`", made_by):
            assert statement in statements, f"({letter}) {statement}"


def test_the_pictures_show_every_status() -> None:
    pictures = [text for _, text in _BLOCK.findall(STATES)]
    for status in RunStatus:
        assert status in pictures[0]
    for task_status in TaskStatus:
        assert task_status in pictures[1]
    assert all(action in STATES for action in PauseAction)


# The map


def test_every_promise_of_the_map_names_a_test_that_is_there() -> None:
    promises = rows(ARCHITECTURE.read_text(), "## Invariants")
    assert [row[0] for row in promises] == [f"I{number}" for number in range(1, len(promises) + 1)]
    for promise, _, held_by in promises:
        for file, test in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", held_by):
            assert (ROOT / file).exists(), f"{promise}: {file}"
            assert f"def {test}(" in (ROOT / file).read_text() or not test, f"{promise}: {test}"
        for file in re.findall(r"`(\w+/\w+\.py)`", held_by):
            assert (SOURCE / file).exists(), f"{promise}: {file}"


def test_what_the_map_shows_is_there() -> None:
    tree = blocks(ARCHITECTURE, "")[0]
    package = ""
    for line in tree.splitlines()[1:]:
        if found := re.match(r"  (\w+)/ ", line):
            package = found[1]
            assert (SOURCE / package).is_dir(), package
        elif line.startswith("    ") and package:
            for word in re.split(r"  ", line.strip())[0].split(","):
                name = word.strip().removesuffix("...").strip()
                place = SOURCE / package / name.rstrip("/")
                assert not name or place.is_dir() or place.with_suffix(".py").is_file(), f"{package}: {name}"
        else:
            package = ""


def test_the_map_shows_every_package_and_every_module_that_stands_alone() -> None:
    tree = blocks(ARCHITECTURE, "")[0]
    for path in SOURCE.iterdir():
        if path.is_dir() and list(path.glob("*.py")):
            assert f"\n  {path.name}/ " in tree
        if path.suffix == ".py" and not path.stem.startswith("__"):
            assert f"{path.name} " in tree


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    about_to_be_written = {"src/rowel/nodes/builtin/shorten.py", "tests/nodes/test_shorten.py"}
    named = set(
        re.findall(
            r"`((?:src|tests|docs|scripts|examples|engine|core|store|api|nodes)/[\w/.-]+\.\w+)`", prose(page)
        )
    )
    for file in named - about_to_be_written:
        assert (ROOT / file).exists() or (SOURCE / file).exists(), file


# Add a node


@pytest.fixture
def shorten(tmp_path: Path) -> Iterator[ModuleType]:
    """The node type of the page, as the module it tells people to write."""
    source, _ = blocks(ADD_A_NODE, "python")
    file = tmp_path / "shorten.py"
    file.write_text(source)
    name = f"{builtin.__name__}.shorten"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


def test_the_node_of_the_page_passes_the_tests_of_the_page(shorten: ModuleType) -> None:
    _, source = blocks(ADD_A_NODE, "python")
    names: dict[str, Any] = {}
    exec(compile(source, "test_shorten.py", "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 3
    for test in tests:
        found = test()
        if inspect.iscoroutine(found):
            asyncio.run(found)


@pytest.mark.parametrize("words", [["check", "--ignore=I001"], ["format", "--check"]], ids=" ".join)
def test_the_code_of_the_page_is_as_tidy_as_ours(words: list[str]) -> None:
    files = ("src/rowel/nodes/builtin/shorten.py", "tests/nodes/test_shorten.py")
    for file, source in zip(files, blocks(ADD_A_NODE, "python"), strict=True):
        command = [sys.executable, "-m", "ruff", *words, "--no-cache", "--stdin-filename", file, "-"]
        done = subprocess.run(command, cwd=ROOT, input=source, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_trait_on_the_page_is_one_that_nodes_have() -> None:
    text = (ADD_A_NODE).read_text()
    for cell, *_ in rows(text, "## The traits"):
        for name in re.findall(r"`(\w+)", cell):
            assert hasattr(Node, name), name


def test_the_entry_point_of_the_page_is_the_one_that_is_read() -> None:
    (text,) = blocks(ADD_A_NODE, "toml")
    assert f'[project.entry-points."{ENTRY_POINT_GROUP}"]' in text
