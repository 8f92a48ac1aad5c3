"""The same failure of other data has the same signature."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.signatures import LONGEST, signature_of


@pytest.mark.parametrize(
    ("message", "signature"),
    [
        ("Node 'check' failed: KeyError: 'amount'", "Node 'check' failed: KeyError: '…'"),
        ("Node 'a-1' failed: 12 is not in [1, 2.5]", "Node 'a-1' failed: # is not in [#, #]"),
        ("Node 'x' failed: the call was answered with HTTP 503", None),
        (
            "Node 'loop' failed: node 'loop.12.work' in its body failed: 5 > 4",
            "Node 'loop' failed: node 'loop.#.work' in its body failed: # > #",
        ),
        (
            "Node 'n' failed: child run 01a21225-31d7-731a-9309-3114ac6ebfee failed: Node 'y2' failed: no",
            "Node 'n' failed: child run <id> failed: Node 'y2' failed: no",
        ),
        ("customer cus_9s6XKzkNRiz8i3 is gone", "customer <id> is gone"),
        ("user u7 of row12 at 0xdeadBEEF", "user u# of row# at <id>"),
        ("nothing at https://a.example/b?c=1, ask ann@example.org", "nothing at <address> ask <address>"),
        ("10.0.0.1:80 gave -1.5e3, 5% and 1,000", "# gave #, # and #"),
        ("can't read \"a \\\" b\" and `c`; john's isn't", "can't read '…' and '…'; john's isn't"),
        ("many\n  lines\tand\x00blanks \ud800", "many lines and blanks"),
        ("", "(no message)"),
        (None, "(no message)"),
    ],
)
def test_what_differs_from_row_to_row_is_blanked(message, signature):
    assert signature_of(message) == (message if signature is None else signature)


def test_statuses_of_http_tell_causes_apart():
    assert signature_of("answered HTTP 404") != signature_of("answered HTTP 429")


@given(st.integers(), st.integers(), st.text(st.characters(exclude_characters="'\\"), max_size=50))
def test_messages_that_differ_in_data_share_a_signature(one, other, text):
    message = "Node 'check' failed: {} is more than {!s} for '{}'"

    assert signature_of(message.format(one, other, text)) == signature_of(message.format(1, 2, "x"))


@given(st.text(max_size=3000))
def test_a_signature_is_short_printable_and_always_the_same(message):
    signature = signature_of(message)

    assert 0 < len(signature) <= LONGEST
    assert signature.isprintable()
    assert signature == signature_of(message)


@pytest.mark.parametrize(
    "text", ["'" * 5000, "a@" * 5000, "1" * 5000, "a1" * 5000, "node '" * 999, '"\\' * 5000]
)
def test_a_message_made_to_take_long_does_not(text):
    assert len(signature_of(text)) <= LONGEST
