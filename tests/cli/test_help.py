"""The command as a whole: quick to start, and described where people look."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from rowel.cli.exits import Exit
from rowel.cli.main import EPILOG, app
from tests.support.source import ROOT

PAGE = (ROOT / "docs" / "cli.md").read_text()
COMMANDS = {command.name: command.callback for command in app.registered_commands}

HEAVY = {
    "alembic",
    "fastapi",
    "httpx",
    "obstore",
    "polars",
    "procrastinate",
    "psycopg",
    "pydantic",
    "pydantic_ai",
    "pydantic_monty",
    "sandlock",
    "sqlalchemy",
    "uvicorn",
}
EXAMPLES = re.findall(r"^rowel .+", PAGE, re.MULTILINE)


def command(name: str) -> Any:
    return get_command(app).commands[name]  # type: ignore[attr-defined]  # it is a group


def options(name: str) -> set[str]:
    """The long options of a command."""
    parameters = command(name).params
    words = [word for parameter in parameters for word in (*parameter.opts, *parameter.secondary_opts)]
    return {word for word in words if word.startswith("--")}


def section(name: str) -> str:
    """What the page says about one command."""
    found = re.search(rf"^### rowel {name}(?![\w-]).*?(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/cli.md says nothing about rowel {name}"
    return found[0]


def test_help_loads_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "rowel", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT / "src",
    )
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}

    assert "Usage:" in done.stdout
    assert "rowel" in loaded
    assert loaded & HEAVY == set()


def test_help_names_every_command_and_exit_code() -> None:
    told = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "300"}).stdout

    assert [name for name in COMMANDS if f" {name} " not in told] == []
    assert [code for code in Exit if f"{code:d} " not in EPILOG] == []


def test_the_version_is_told() -> None:
    assert re.fullmatch(r"rowel \d+\.\d+\.\d+\S*\n", CliRunner().invoke(app, ["--version"]).stdout)


def test_without_a_command_help_is_shown_and_the_code_is_2() -> None:
    result = CliRunner().invoke(app, [])

    assert result.exit_code == 2
    assert "Usage:" in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does(name: str) -> None:
    assert inspect.getdoc(COMMANDS[name])


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_names_every_option(name: str) -> None:
    shared = set(re.findall(r"`(--[a-z-]+)", PAGE.partition("## Commands")[0]))
    own = set(re.findall(r"(--[a-z-]+)", section(name)))

    assert options(name) - shared - own == set()
    assert own - shared - options(name) == set(), "the page names options that are not there"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_an_example_of_every_command(name: str) -> None:
    assert re.search(rf"^```\nrowel {name}(?![\w-])", section(name), re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_on_the_page_is_a_command_line(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    _, name, *words = shlex.split(example.removesuffix("&"))

    assert command(name).make_context(name, words).params


def test_the_page_names_no_other_command() -> None:
    assert set(re.findall(r"^### rowel ([a-z-]+)", PAGE, re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("code", Exit)
def test_the_page_explains_every_exit_code(code: Exit) -> None:
    assert re.search(rf"^\| {code:d} \|", PAGE, re.MULTILINE)
