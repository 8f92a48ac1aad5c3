"""Exit codes, and errors as sentences with a code.

0 done · 1 the run failed or was canceled, or a drill found harm · 2 the command line is wrong · 3 no server answers or
it can't take work · 4 the server refused · 5 the run waits for a person or still runs
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn

import typer

from rowel.client.errors import (
    ConnectionLost,
    NotAllowed,
    NotCompleted,
    RowelClientError,
    RunFailed,
    ServerBusy,
    ServerFailed,
    UnexpectedAnswer,
)
from rowel.client.models import Run
from rowel.client.words import Status


class Exit(IntEnum):
    """What a command's end means."""

    DONE = 0
    RUN_FAILED = 1
    USAGE = 2
    UNAVAILABLE = 3
    REFUSED = 4
    WAITING = 5


def fail(message: str, code: Exit) -> NoReturn:
    """Say what went wrong and end."""
    typer.echo(f"rowel: {message}", err=True)
    raise typer.Exit(code)


def code_of(run: Run) -> Exit:
    """What a run's status means for the command that started it."""
    match run.status:
        case Status.COMPLETED:
            return Exit.DONE
        case Status.FAILED | Status.CANCELED:
            return Exit.RUN_FAILED
    return Exit.WAITING


@contextmanager
def told_plainly() -> Iterator[None]:
    """Errors of the client become a sentence and an exit code."""
    try:
        yield
    except RunFailed as error:
        fail(str(error), Exit.RUN_FAILED)
    except NotCompleted as error:
        fail(str(error), Exit.WAITING)
    except ConnectionLost as error:
        fail(f"{error}. Start one with `rowel serve`, or name another by --url.", Exit.UNAVAILABLE)
    except (ServerBusy, ServerFailed, UnexpectedAnswer) as error:
        fail(str(error), Exit.UNAVAILABLE)
    except NotAllowed as error:
        fail(f"{error}. Give a key by --api-key or ROWEL_API_KEY.", Exit.REFUSED)
    except RowelClientError as error:
        fail(str(error), Exit.REFUSED)
