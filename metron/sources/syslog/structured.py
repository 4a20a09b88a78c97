"""Read the structured data of RFC 5424: elements, each with parameters. No I/O."""

from __future__ import annotations

import re
from typing import NamedTuple

_ELEMENT = re.compile(r'\[([^\0- =\]"]++)((?: ++[^\0- =\]"]*+="(?:[^"\\]++|\\.)*+")*+) *+\]', re.DOTALL)
_PARAM = re.compile(r' ++([^\0- =\]"]*+)="((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\\]])')


class Element(NamedTuple):
    """One element: its SD-ID, and its parameters in order, a name perhaps more than once."""

    name: str
    params: list[tuple[str, str]]


class Elements(NamedTuple):
    """The elements of a message, and how many parameters were left out because there were too many."""

    elements: list[Element]
    left_out: int


def elements_of(structured: bytes, max_params: int) -> Elements:
    """Read elements that `parse` found; elements count as a parameter too. What is not UTF-8 is replaced."""
    elements: list[Element] = []
    left_out, room = 0, max_params
    text = structured.decode(errors="replace")  # at once: one by one costs four times as much
    for name, written in _ELEMENT.findall(text):
        params: list[tuple[str, str]] = _PARAM.findall(written)
        if len(params) >= room:
            left_out += len(params)
            params = params[: max(room - 1, 0)]
            left_out -= len(params)
        if "\\" in written:
            params = [(key, _ESCAPED.sub(r"\1", value)) for key, value in params]
        if room > 0:
            elements.append(Element(name, params))
        room -= len(params) + 1
    return Elements(elements, left_out)
