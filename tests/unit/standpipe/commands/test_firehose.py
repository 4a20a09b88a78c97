"""`standpipe firehose`, from the options to the output."""

import signal

import orjson
import pytest
import trio
import typer

from envelope.pb import dropsonde_pb2 as v1
from standpipe.commands import firehose as module
from standpipe.commands.firehose import Filter, firehose
from standpipe.errors import AccessDenied, NotRunning
from tests.fakes.firehose import close, hang_on, messages, receive_request, refuse, says
from tests.unit.standpipe.commands.conftest import FakeSystem
from tests.unit.standpipe.reading.paper import Paper


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Paper:
    paper = Paper()
    monkeypatch.setattr(module, "Stdout", lambda: paper)
    return paper


def _log(text: str) -> bytes:
    log = v1.LogMessage(message=text.encode(), message_type=v1.LogMessage.OUT, timestamp=1)
    return v1.Envelope(
        origin="o", eventType=v1.Envelope.LogMessage, logMessage=log, tags={"source_id": "shop"}
    ).SerializeToString()


def _texts(paper: Paper) -> list[str]:
    return [orjson.loads(line)["message"] for line in paper.lines]


def test_a_firehose_without_a_name_is_nobody_elses(fake_system: FakeSystem, paper: Paper) -> None:
    fake_system.scripts = [says(close(1000)), says(close(1000))]
    for _ in range(2):
        with pytest.raises(NotRunning):
            firehose(reconnect=False, data_dir=fake_system.data_dir)
    paths = [source.path for source in fake_system.dialled]
    assert all(path.startswith("/firehose/cli-") for path in paths)
    assert paths[0] != paths[1]


def test_what_was_asked_for_is_asked_for(fake_system: FakeSystem, paper: Paper) -> None:
    fake_system.scripts = [says(close(1000))]
    with pytest.raises(NotRunning):
        firehose("my archive", Filter.LOGS, explain=True, reconnect=False, data_dir=fake_system.data_dir)
    assert fake_system.dialled[0].path == "/firehose/my%20archive"
    assert fake_system.dialled[0].query == "filter-type=logs&explain=1"


def test_everything_is_printed_before_the_end_is_complained_of(fake_system: FakeSystem, paper: Paper) -> None:
    fake_system.scripts = [says(messages(_log("a"), _log("b")) + close(1008, "slow consumer"))]
    with pytest.raises(NotRunning, match="slow consumer"):
        firehose(as_json=True, reconnect=False, data_dir=fake_system.data_dir)
    assert _texts(paper) == ["a", "b"]


def test_a_lost_firehose_is_found_again(
    fake_system: FakeSystem, paper: Paper, capfd: pytest.CaptureFixture[str]
) -> None:
    async def interrupt(stream: trio.abc.Stream) -> None:
        signal.raise_signal(signal.SIGINT)
        await hang_on(stream)

    fake_system.scripts = [says(messages(_log("a"))), says(messages(_log("b")), then=interrupt)]
    with pytest.raises(typer.Exit) as ended:
        firehose(as_json=True, data_dir=fake_system.data_dir)
    assert ended.value.exit_code == 0
    assert _texts(paper)[0] == "a"
    assert capfd.readouterr().err.count("connecting again") == 1


def test_a_wrong_token_is_access_denied(fake_system: FakeSystem, paper: Paper) -> None:
    async def deny(stream: trio.abc.Stream) -> None:
        await receive_request(stream)
        await stream.send_all(refuse("401 Unauthorized", "You are not authorized. invalid authorization"))

    fake_system.scripts = [deny]
    with pytest.raises(AccessDenied, match=r"You are not authorized\. invalid authorization"):
        firehose(data_dir=fake_system.data_dir)


def test_nobody_there_is_not_running(fake_system: FakeSystem, paper: Paper) -> None:
    with pytest.raises(NotRunning, match="Connection refused"):
        firehose(data_dir=fake_system.data_dir)


def test_it_ends_without_a_word_when_nobody_reads_the_output(
    fake_system: FakeSystem, paper: Paper, capfd: pytest.CaptureFixture[str]
) -> None:
    paper.until = 1
    fake_system.scripts = [says(messages(_log("a")), then=hang_on)]
    firehose(data_dir=fake_system.data_dir)
    assert capfd.readouterr().err == ""


def test_what_is_no_envelope_is_mentioned_at_the_end(
    fake_system: FakeSystem, paper: Paper, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_system.scripts = [says(messages(b"\xff", b"\xfe", _log("a")), then=hang_on)]
    firehose(limit=1, as_json=True, data_dir=fake_system.data_dir)
    assert capfd.readouterr().err == "standpipe: 2 messages were not v1 envelopes and are not shown\n"


@pytest.mark.parametrize("option", ["subscription", "app"])
def test_an_empty_name_is_wrong_usage(fake_system: FakeSystem, option: str) -> None:
    with pytest.raises(typer.BadParameter, match="must not be empty"):
        firehose(**{option: ""}, data_dir=fake_system.data_dir)


# --- an app's stream ------------------------------------------------------------------------------------------------


def test_the_stream_of_an_app_is_read(fake_system: FakeSystem, paper: Paper) -> None:
    fake_system.scripts = [says(messages(*map(_log, "abc")), then=hang_on)]
    firehose(app="cf/api?", limit=2, as_json=True, data_dir=fake_system.data_dir)
    assert fake_system.dialled[0].path == "/apps/cf%2Fapi%3F/stream"
    assert _texts(paper) == ["a", "b"]


def test_the_stream_of_an_app_has_no_subscription(fake_system: FakeSystem) -> None:
    with pytest.raises(typer.BadParameter, match="an app's stream has no --subscription"):
        firehose(subscription="mine", app="shop", data_dir=fake_system.data_dir)
