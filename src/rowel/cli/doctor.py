"""Looks whether everything is in place, and says what to do where it isn't."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rowel.cli.exits import Exit, fail
from rowel.cli.looks import console
from rowel.cli.server import AsJson, print_json

if TYPE_CHECKING:
    from rowel.settings import Settings

#: The variables that hold providers' keys; their values are never shown.
KEYS = (
    "OPENAI_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GROQ_API_KEY",
    "MISTRAL_API_KEY",
    "DEEPSEEK_API_KEY",
    "TOGETHER_API_KEY",
    "OPENROUTER_API_KEY",
    "XAI_API_KEY",
    "COHERE_API_KEY",
    "FIREWORKS_API_KEY",
    "PERPLEXITY_API_KEY",
    "CEREBRAS_API_KEY",
    "MOONSHOT_API_KEY",
    "HF_TOKEN",
    "NVIDIA_NIM_API_KEY",
    "FIRECRAWL_API_KEY",
    "SLACK_BOT_TOKEN",
)

MEND_DATABASE = "Restore a backup, or see what holds it; nothing was changed."
REACH_FILES = (
    "See that ROWEL_FILES_URL names it, and that its variables (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, "
    "AWS_ENDPOINT_URL ...) are those of a user who may read, write, delete and list there."
)
REACH_DATABASE = (
    "See that it runs and lets Rowel in, and that ROWEL_DATABASE_URL names it; nothing was changed."
)


class Level(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, how it is, and what to do about it."""

    check: str
    level: Level
    message: str
    remedy: str | None = None


def doctor(
    data: Annotated[Path | None, typer.Option(help="ROWEL_DATA, else ./rowel-data.")] = None,
    port: Annotated[int | None, typer.Option(help="ROWEL_PORT, else 6080.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check the data directory, the database, a bucket of files, the sandboxes, provider keys and the port."""
    from rowel.core.errors import Invalid
    from rowel.settings import Settings

    try:
        settings = Settings.from_environment(os.environ, data=data, port=port)
    except Invalid as error:
        fail(error.message, Exit.USAGE)
    findings = [finding for look in CHECKS for finding in look(settings)]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        _print(findings)
    if any(finding.level is Level.PROBLEM for finding in findings):
        raise typer.Exit(Exit.UNAVAILABLE)


def check_data(settings: Settings) -> Iterator[Finding]:
    """The data directory can be written."""
    place = next(
        path for path in (settings.data.absolute(), *settings.data.absolute().parents) if path.exists()
    )
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        remedy = f"Make {place} writable, or choose another directory by ROWEL_DATA."
        yield Finding("data directory", Level.PROBLEM, f"{place} can't be written: {error}", remedy)
        return
    state = "is there and can be written" if settings.data.exists() else "will be made at the first start"
    yield Finding("data directory", Level.OK, f"{settings.data} {state}")


def check_database(settings: Settings) -> Iterator[Finding]:
    """The database opens, and SQLite's file is whole."""
    from rowel.store.health import examine

    file = settings.data / "rowel.db"
    if settings.database_url is None and not file.exists():
        yield Finding("database", Level.OK, "none yet; it will be made at the first start")
        return
    problem = examine(settings.database_url or f"sqlite:///{file}")
    if problem is None:
        yield Finding("database", Level.OK, "opens and is whole")
    else:
        is_elsewhere = settings.database_url is not None
        remedy = REACH_DATABASE if is_elsewhere else MEND_DATABASE
        yield Finding("database", Level.PROBLEM, " ".join(problem.split()), remedy)


def check_files(settings: Settings) -> Iterator[Finding]:
    """A bucket keeps, gives, lists and deletes files."""
    if settings.files_url is None:
        return
    import asyncio

    from rowel.core.errors import Invalid
    from rowel.files.probe import probe
    from rowel.files.store import FileStore

    try:
        problem = asyncio.run(probe(FileStore(settings.files_url)))
    except Invalid as error:
        problem = error.message
    if problem is None:
        yield Finding("files", Level.OK, f"{settings.files_url} keeps, gives, lists and deletes files")
    else:
        yield Finding("files", Level.PROBLEM, problem, REACH_FILES)


def check_sandbox(_: Settings) -> Iterator[Finding]:
    """Python nodes can be confined here."""
    from rowel.nodes.clients.sandbox import PooledSandbox

    for name, told in PooledSandbox().describe().items():
        if told == "works":
            yield Finding(f"sandbox {name}", Level.OK, "works")
        else:
            remedy = (
                "Python nodes that need it are refused; everyday Python runs in monty. What it needs in a container "
                "and under systemd is said in docs/operations.md, Deploy."
            )
            yield Finding(f"sandbox {name}", Level.WARNING, told, remedy)


def check_keys(settings: Settings) -> Iterator[Finding]:
    """Which providers' keys are set."""
    found = [name for name in KEYS if settings.environment.get(name)]
    if found:
        yield Finding("provider keys", Level.OK, f"set: {', '.join(found)}")
    else:
        remedy = "Set OPENAI_API_KEY (or another provider's) to run nodes that call models."
        yield Finding("provider keys", Level.WARNING, "none is set", remedy)


def check_port(settings: Settings) -> Iterator[Finding]:
    """The port is free, or a Rowel answers there."""
    if not settings.port or _can_listen(settings.host, settings.port):
        yield Finding("port", Level.OK, f"{settings.port} is free" if settings.port else "any that is free")
    else:
        yield _port_in_use(settings.url())


def _can_listen(host: str, port: int) -> bool:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError:
        return False
    return True


def _port_in_use(url: str) -> Finding:
    from rowel.client import Client

    with Client(url, timeout=2.0) as client:
        if client.is_ready():
            return Finding("port", Level.OK, f"a Rowel answers at {url}")
    remedy = "Choose another by ROWEL_PORT or ROWEL_HOST, or end what listens there."
    return Finding("port", Level.PROBLEM, f"Rowel can't listen at {url}, and none answers there", remedy)


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    check_data,
    check_database,
    check_files,
    check_sandbox,
    check_keys,
    check_port,
)

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red"}


def _print(findings: list[Finding]) -> None:
    for finding in findings:
        console.print(f"[{_STYLES[finding.level]}]{finding.level:8}[/] [bold]{finding.check}[/]: ", end="")
        console.print(finding.message, markup=False)
        if finding.remedy:
            console.print(f"         → {finding.remedy}", markup=False)
