"""Lines of the log: their ids, and what they never show."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from rowel.engine.observer import PLACE, REQUEST, Place
from rowel.observe.logs import JSON, TEXT, make_handler

URL = "postgresql://rowel:pass-word@db/rowel"
KEY = "sk-abcdefgh"


@contextmanager
def logging_as(form: str, environment: Mapping[str, str] | None = None) -> Iterator[io.StringIO]:
    """What is logged meanwhile."""
    stream = io.StringIO()
    handler = make_handler(form, environment)
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    logging.getLogger().addHandler(handler)
    try:
        yield stream
    finally:
        logging.getLogger().removeHandler(handler)


@contextmanager
def working() -> Iterator[None]:
    place, request = PLACE.set(Place("r1", "r1.a", "a", 2)), REQUEST.set("q1")
    try:
        yield
    finally:
        PLACE.reset(place)
        REQUEST.reset(request)


def fail(logger: str = "rowel.test", **extra: object) -> None:
    try:
        raise ValueError(f"{URL} says no to {KEY}")
    except ValueError as error:
        logging.getLogger(logger).exception("it %s: %s", "failed", URL, exc_info=error, extra=extra)


def test_a_line_of_json_has_the_ids_of_what_is_at_hand() -> None:
    with logging_as(JSON) as lines:
        with working():
            logging.getLogger("rowel.test").warning("it is %s", "slow")
        logging.getLogger("uvicorn.error").error("theirs")
    ours, theirs = map(json.loads, lines.getvalue().splitlines())

    assert ours.pop("timestamp").endswith("Z")
    assert ours == {
        "event": "it is slow",
        "level": "warning",
        "logger": "rowel.test",
        "request_id": "q1",
        "run_id": "r1",
        "node_id": "a",
        "task_id": "r1.a",
        "attempt": 2,
    }
    assert (theirs["event"], theirs["logger"]) == ("theirs", "uvicorn.error")
    assert "run_id" not in theirs


def test_a_line_of_text_has_them_at_its_end() -> None:
    with logging_as(TEXT) as lines, working():
        logging.getLogger("rowel.test").warning("it is slow")

    end = "WARNING rowel.test: it is slow [request_id=q1 run_id=r1 node_id=a task_id=r1.a attempt=2]\n"
    assert lines.getvalue().endswith(end)


@pytest.mark.parametrize("form", [TEXT, JSON])
def test_passwords_of_urls_and_keys_are_hidden_in_tracebacks_too(form: str) -> None:
    with logging_as(form, {"OPENAI_API_KEY": KEY, "PATH": "/usr/bin"}) as lines:
        fail()
    said = lines.getvalue()

    assert "Traceback" in said
    assert "postgresql://***@db/rowel says no to ***" in said
    assert "pass-word" not in said
    assert KEY not in said


@pytest.mark.parametrize("form", [TEXT, JSON])
def test_that_the_queue_lost_postgres_is_one_sentence(form: str) -> None:
    with logging_as(form) as lines:
        fail("procrastinate.utils", action="listener_error")
        fail("procrastinate.utils", action="other_error")
    said = lines.getvalue()

    assert said.count("the queue's listener lost its connection to Postgres") == 1
    assert said.count("Traceback") == 1
