"""The older map of tags, whose values are text, integers or decimals, and how its values read as text.

Three places turn a decimal into text in three ways; `numbers_as_text` has them all.
"""

from collections.abc import Callable

from envelope.numbers_as_text import general
from envelope.pb.loggregator_v2_pb2 import Envelope, Value


def text_of(value: Value, decimal: Callable[[float], str]) -> str | None:
    """Write a value as text, a decimal in the way given; None for a value that holds nothing."""
    match value.WhichOneof("data"):
        case "text":
            return value.text
        case "integer":
            return str(value.integer)
        case "decimal":
            return decimal(value.decimal)
        case _:
            return None


def converge(envelope: Envelope, preferred: bool) -> bool:
    """Move every tag into one map, in place; False when all were there already.

    What moves wins over what was there. A deprecated value that holds nothing has no text and goes; deprecated values
    that need not move keep their type.
    """
    if preferred:
        moved = bool(envelope.deprecated_tags)
        for key, value in envelope.deprecated_tags.items():
            if (text := text_of(value, decimal=general)) is not None:
                envelope.tags[key] = text
        envelope.ClearField("deprecated_tags")
        return moved
    moved = bool(envelope.tags)
    for key, text in envelope.tags.items():
        envelope.deprecated_tags[key].text = text
    envelope.ClearField("tags")
    return moved
