from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rowel.core.errors import InvalidDataset
from rowel.files.lines import Lines


def test_a_byte_order_mark_is_taken_off_the_first_line_only() -> None:
    mark = b"\xef\xbb\xbf"
    assert list(Lines(iter([mark + b"a\n" + mark + b"b\n"]))) == ["a\n", "\ufeffb\n"]


def test_a_byte_order_mark_cut_in_two_is_taken_off() -> None:
    assert list(Lines(iter([b"\xef", b"\xbb\xbfa\n"]))) == ["a\n"]


def test_each_line_is_known_by_its_number_and_where_it_ends() -> None:
    lines = Lines(iter([b"ab\r\nc\n", b"d"]))
    assert [(line, lines.number, lines.offset) for line in lines] == [
        ("ab\r\n", 1, 4),
        ("c\n", 2, 6),
        ("d", 3, 7),
    ]


def test_reading_goes_on_where_another_reader_stopped() -> None:
    lines = Lines(iter([b"a\nb\nc\n"]))
    assert next(iter(lines)) == "a\n"
    assert list(lines) == ["b\n", "c\n"]


def test_lines_after_an_offset_are_counted_from_there() -> None:
    lines = Lines(iter([b"\xff\n"]), 5_000)
    with pytest.raises(InvalidDataset, match="Line 1 after byte 5,000 is not UTF-8"):
        list(lines)


def test_separators_that_only_unicode_knows_end_no_line() -> None:
    text = "a\u2028b\u0085c\x0bd\x0ce\x1cf\n"
    assert list(Lines(iter([text.encode()]))) == [text]


pieces = some.lists(some.sampled_from(["a", "é", "\r", "\n", "\r\n", "😀", ""]), max_size=30).map("".join)


@given(text=pieces, data=some.data())
def test_lines_do_not_depend_on_where_blocks_end(text: str, data: some.DataObject) -> None:
    content = text.encode()
    cuts = sorted(data.draw(some.lists(some.integers(0, len(content)), max_size=6)))
    blocks = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    expected = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)
    lines = Lines(iter(blocks))
    assert list(lines) == expected
    assert (lines.offset, lines.number) == (len(content), len(expected))
