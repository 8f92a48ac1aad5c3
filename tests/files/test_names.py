from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rowel.files.names import MAX_NAME, base_name, extension, key_name


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("tickets.csv", "tickets.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ann\\Tickets 1.csv", "Tickets 1.csv"),
        ("a/b\\c.csv", "c.csv"),
        ("/", "file"),
        ("..", "file"),
        ("", "file"),
        ("bad\x00\nname.csv", "badname.csv"),
        ("Bücher.csv", "Bücher.csv"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("two\u2028lines.csv", "twolines.csv"),
        ("half\ud83d.csv", "half.csv"),
        (" . ", "file"),
    ],
)
def test_a_name_is_the_last_part_of_what_was_sent(sent: str, kept: str) -> None:
    assert base_name(sent) == kept


def test_a_long_name_keeps_its_end_where_the_extension_is() -> None:
    assert len(base_name("x" * 5000 + ".csv")) == MAX_NAME
    assert base_name("x" * 5000 + ".csv").endswith(".csv")


@given(some.text())
def test_a_name_is_never_empty_nor_a_way_elsewhere(sent: str) -> None:
    name = base_name(sent)
    assert 0 < len(name) <= MAX_NAME
    assert name not in (".", "..")
    assert not {"/", "\\", "\0"} & set(name)
    assert base_name(name) == name
    name.encode()


@given(some.text())
def test_a_key_name_is_always_safe_in_a_key(sent: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", key_name(sent))


@pytest.mark.parametrize(
    ("sent", "found"),
    [("a.CSV", ".csv"), ("a.tar.gz", ".gz"), ("a", ""), ("x/.csv", ""), ("a.csv/b", "")],
)
def test_the_extension_is_that_of_the_last_part(sent: str, found: str) -> None:
    assert extension(sent) == found
