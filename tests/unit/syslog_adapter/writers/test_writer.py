import trio

from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Envelope
from syslog_adapter.drain_url import parse_drain_url
from syslog_adapter.writers.config import WriterSettings
from syslog_adapter.writers.writer import Form, Written, reason_of
from tests.strategies import batch_of
from tests.unit.syslog_adapter.writers.drains import binding, counted, lines, message


def test_the_form_is_what_url_binding_and_settings_say() -> None:
    def shows_tags(url: str, metadata: bool) -> bool:
        return Form.of(parse_drain_url(url), binding(), WriterSettings(metadata=metadata)).metadata

    drain = parse_drain_url("syslog://h?drain-data=traces")
    assert Form.of(drain, binding(), WriterSettings()) == Form(b"host", int(Kind.TIMER), True)
    assert [shows_tags("syslog://h", default) for default in (True, False)] == [True, False]
    assert not shows_tags("syslog://h?disable-metadata=true", True)
    assert shows_tags("syslog://h?disable-metadata=false", False)


def test_messages_know_what_was_taken_by_the_bytes() -> None:
    skipped = batch_of(Envelope())
    messages = Form(b"host", 63, True).messages(skipped + lines("one") + skipped + lines("two", "three"))
    one, two = len(counted("one")), len(counted("one", "two"))

    def done(taken: int) -> tuple[int, Written]:
        error = messages.unavailable("gone", taken)
        assert str(error) == "gone"
        return error.done, error.written

    assert messages.written == Written(3, 2, 0)
    assert done(0) == done(one - 1) == (1, Written(0, 1, 0))
    assert done(one) == done(two - 1) == (3, Written(1, 2, 0))
    assert done(two) == (4, Written(2, 2, 0))


def test_each_message_can_be_had_without_its_count() -> None:
    messages = Form(b"host", 63, True).messages(lines("1 <14>1 2", "two"))

    assert [messages.data[slice(*place)] for place in messages.each()] == [message("1 <14>1 2"), message("two")]


def test_the_reason_is_told_by_the_first_cause_with_words() -> None:
    wordless = ConnectionError()
    wordless.__cause__ = OSError(111, "Connection refused")

    assert reason_of(wordless) == "Connection refused"
    several = OSError("all attempts to connect to drain:514 failed")
    first = OSError(111, "Error connecting to ('192.0.2.1', 514): Connection refused")
    first.__cause__ = OSError(111, "Connection refused")
    several.__cause__ = ExceptionGroup("", [first, OSError(113, "No route to host")])
    assert reason_of(several) == reason_of(RuntimeError(several)) == "Connection refused"
    assert reason_of(OSError("in its own words")) == "in its own words"
    assert reason_of(ValueError("a\nb")) == "a b"
    assert reason_of(TimeoutError()) == "TimeoutError"
    assert reason_of(trio.BrokenResourceError()) == "the connection broke"
