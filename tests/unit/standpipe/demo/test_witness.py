from envelope.pb import dropsonde_pb2 as v1
from standpipe.demo.witness import SHOWN_AT_FIRST, SHOWN_EVERY_S, Witness


def _log(text: str, source: str = "demo") -> bytes:
    message = v1.LogMessage(message=text.encode(), message_type=v1.LogMessage.OUT, timestamp=1, app_id=source)
    return v1.Envelope(
        origin="o", eventType=v1.Envelope.LogMessage, logMessage=message, tags={"source_id": source}
    ).SerializeToString()


def _lines(*numbers: int) -> list[bytes]:
    return [_log(f"line {number} of the demo itself") for number in numbers]


def _seen(*numbers: int) -> Witness:
    witness = Witness("demo")
    list(witness.see(_lines(*numbers), 0.0))
    return witness


def test_counts_everything_by_source() -> None:
    witness = Witness("demo")
    list(witness.see([_log("a"), _log("b", "other"), _log("c", "other"), b"\xff"], 0.0))
    assert (witness.total, witness.by_source) == (4, {"demo": 1, "other": 2})


def test_all_lines_once_is_all_there_is_to_wish_for() -> None:
    witness = _seen(2, 1, 3)
    assert witness.has_seen(3)
    assert witness.complaints(3) == []


def test_a_missing_line_is_named() -> None:
    witness = _seen(1, 3)
    assert not witness.has_seen(3)
    assert witness.complaints(3) == ["1 of the 3 lines of the demo itself did not come: [2]"]


def test_a_repeated_line_is_named() -> None:
    assert _seen(1, 2, 2).complaints(2) == ["1 of the lines of the demo itself came more than once: [2]"]


def test_numbered_lines_of_others_do_not_count() -> None:
    witness = Witness("demo")
    list(witness.see([_log("line 1 of the demo itself", "other")], 0.0))
    assert not witness.has_seen(1)


def test_what_is_no_envelope_is_a_complaint() -> None:
    witness = Witness("demo")
    list(witness.see([b"\xff"], 0.0))
    assert witness.complaints(0) == ["1 messages were no envelopes"]


def test_the_first_envelopes_are_shown_and_later_one_of_each_source_now_and_then() -> None:
    witness = Witness("demo")
    assert len(list(witness.see([_log("early")] * 50, 0.0))) == SHOWN_AT_FIRST
    assert not list(witness.see([_log("soon after")], SHOWN_EVERY_S / 2))
    shown = witness.see([_log("later"), _log("later"), _log("later", "other")], SHOWN_EVERY_S)
    assert [record["source_id"] for record in shown] == ["demo", "other"]
