"""The structured data of RFC 5424."""

import re

from hypothesis import given
from hypothesis import strategies as st

from metron.sources.syslog.parse import parse
from metron.sources.syslog.structured import Element, elements_of

NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='="]'), min_size=1, max_size=32)
VALUES = st.text(st.characters(codec="utf-8"), max_size=20)
ELEMENTS = st.lists(st.builds(Element, NAMES, st.lists(st.tuples(NAMES, VALUES), max_size=4)), min_size=1, max_size=4)


def written(elements: list[Element]) -> bytes:
    """As RFC 5424 6.3 has it."""

    def param(key: str, value: str) -> str:
        return ' {}="{}"'.format(key, re.sub(r'([\\"\]])', r"\\\1", value))

    return "".join(f"[{name}{''.join(param(*each) for each in params)}]" for name, params in elements).encode()


@given(ELEMENTS)
def test_what_is_written_reads_back(elements: list[Element]) -> None:
    message = b"<14>1 - - - - - " + written(elements) + b" text"

    header, _, text = parse(message, 0, None)

    assert text == b"text"
    assert elements_of(header.structured, 100) == (elements, 0)


def test_what_real_programs_write_is_taken_too() -> None:
    lenient = b'[a  b="1" c="x]y" ][a b="2\\n" b="\xff" ="none"]'

    assert elements_of(lenient, 100).elements == [
        Element("a", [("b", "1"), ("c", "x]y")]),
        Element("a", [("b", "2\\n"), ("b", "\ufffd"), ("", "none")]),
    ]


@given(ELEMENTS, st.integers(0, 12))
def test_only_so_many_are_taken_and_the_others_counted(elements: list[Element], most: int) -> None:
    taken, left_out = elements_of(written(elements), most)

    params = [param for element in elements for param in element.params]
    kept = [param for element in taken for param in element.params]
    assert len(kept) + left_out == len(params)
    assert len(taken) + len(kept) <= most
    assert kept == params[: len(kept)]


@given(st.binary(max_size=60))
def test_no_bytes_are_too_much(structured: bytes) -> None:
    assert elements_of(structured, 3).left_out >= 0
