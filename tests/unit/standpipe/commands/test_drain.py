import json
import socket
import threading
from pathlib import Path

import pytest
import typer

from standpipe.commands import drain
from standpipe.errors import CommandFailed, NotRunning
from syslog_adapter.binding import Binding
from syslog_adapter.bindings.store import DrainStore

URL = "https://user:secret@logs.example/in?drain-data=all"
SHOWN = "https://logs.example/in"
Output = pytest.CaptureFixture[str]


def test_what_is_added_is_listed_without_its_secrets(tmp_path: Path, capsys: Output) -> None:
    drain.add("shop", URL, "host", tmp_path)
    assert capsys.readouterr().out == f"bound shop to {SHOWN}\n"
    drain.add("*", "syslog://all.example:514", data_dir=tmp_path)
    capsys.readouterr()

    drain.list_drains(tmp_path, as_json=True)

    assert json.loads(capsys.readouterr().out) == [
        {"source_id": "shop", "url": SHOWN, "hostname": "host"},
        {"source_id": "*", "url": "syslog://all.example:514", "hostname": ""},
    ]
    assert DrainStore(tmp_path).list()[0] == Binding(url=URL, source_id="shop", hostname="host")


def test_the_table_names_everybody(tmp_path: Path, capsys: Output) -> None:
    drain.add("*", URL, data_dir=tmp_path)
    drain.add("*", URL, data_dir=tmp_path)
    assert "is bound already" in capsys.readouterr().out

    drain.list_drains(tmp_path)

    shown = capsys.readouterr().out
    assert SHOWN in shown
    assert "secret" not in shown


@pytest.mark.parametrize("url", [URL, SHOWN, None])
def test_a_drain_is_removed_by_what_is_known_of_it(tmp_path: Path, capsys: Output, url: str | None) -> None:
    drain.add("shop", URL, data_dir=tmp_path)
    drain.add("other", URL, data_dir=tmp_path)
    capsys.readouterr()

    drain.remove("shop", url, tmp_path)

    assert capsys.readouterr().out == f"unbound shop from {SHOWN}\n"
    assert [each.source_id for each in DrainStore(tmp_path).list()] == ["other"]


def test_what_is_not_bound_cannot_be_removed(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="shop is bound to no drain"):
        drain.remove("shop", None, tmp_path)


@pytest.mark.parametrize("url", ["ftp://logs.example", "syslog://", "nonsense", "syslog://a:1?include=("])
def test_a_url_that_is_no_drain_is_wrong_usage(tmp_path: Path, url: str) -> None:
    with pytest.raises(typer.BadParameter):
        drain.add("shop", url, data_dir=tmp_path)


@pytest.mark.parametrize(("source", "hostname"), [("a b", ""), ("ünï", ""), ("shop", "my host"), ("shop", "h\n")])
def test_what_no_message_can_say_is_wrong_usage(tmp_path: Path, source: str, hostname: str) -> None:
    with pytest.raises(typer.BadParameter, match="printable ASCII"):
        drain.add(source, URL, hostname, data_dir=tmp_path)
    with pytest.raises(typer.BadParameter, match="printable ASCII"):
        drain.send_test("syslog://127.0.0.1:9", source=source, hostname=hostname)


def test_certificates_of_a_drain_are_bound_with_it(tmp_path: Path, certs_dir: Path) -> None:
    ca, cert, key = (certs_dir / name for name in ("ca.crt", "client.crt", "client.key"))

    drain.add("shop", URL, ca=ca, cert=cert, key=key, data_dir=tmp_path)

    (bound,) = DrainStore(tmp_path).list()
    assert (bound.ca, bound.cert, bound.key) == (ca.read_text(), cert.read_text(), key.read_text())
    with pytest.raises(typer.BadParameter, match=f"failed to load certificate for {SHOWN}"):
        drain.add("shop", URL, cert=cert, key=certs_dir / "doppler.key", data_dir=tmp_path)
    with pytest.raises(typer.BadParameter, match=f"failed to load root ca for {SHOWN}"):
        drain.add("shop", URL, ca=key, data_dir=tmp_path)
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(typer.BadParameter, match="bytes: not PEM"):
        drain.add("shop", URL, ca=tmp_path / "bytes", data_dir=tmp_path)


def test_an_empty_source_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="must not be empty"):
        drain.add("", URL, data_dir=tmp_path)


def test_a_test_message_is_sent_from_here(capsys: Output) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        received: list[bytes] = []
        taking = threading.Thread(target=lambda: received.append(_all_of(server)))
        taking.start()
        drain.send_test(f"syslog://127.0.0.1:{server.getsockname()[1]}", source="shop")
        taking.join(10)

    assert capsys.readouterr().out.startswith("sent one message to syslog://127.0.0.1:")
    assert b" shop [" in received[0]
    assert received[0].endswith(b"a test message of standpipe\n")


def _all_of(server: socket.socket) -> bytes:
    connection, _ = server.accept()
    with connection, connection.makefile("rb") as file:
        return file.read()


def test_a_drain_that_is_away_does_not_take_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(NotRunning, match="does not take it"):
        drain.send_test(f"syslog://127.0.0.1:{port}")


def test_without_a_running_system_there_is_no_status(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="nothing is running"):
        drain.status(tmp_path)


def test_every_adapter_is_asked_how_its_drains_fare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoints = {"syslog_adapter-0.cache": "a:1", "syslog_adapter-0.admin": "a:2", "syslog_adapter-1.cache": "a:3"}
    (tmp_path / "endpoints.json").write_text(json.dumps(endpoints))
    answer = {"source_id": "", "url": "syslog://h", "state": "idle", "held": 9, "on_disk": 8, "lag_s": 0.0, "lost": 0}
    sent = {"syslog_adapter-0.cache": 4, "syslog_adapter-1.cache": 5}
    rest = {"retried": 0, "last_error": "refused"}
    monkeypatch.setattr(drain, "_ask", lambda _, name: [{**answer, **rest, "sent": sent[name]}])

    drain.status(tmp_path, as_json=True)
    told = json.loads(capsys.readouterr().out)
    drain.status(tmp_path)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]

    assert [(each["adapter"], each["sent"]) for each in told] == [("syslog_adapter-0", 4), ("syslog_adapter-1", 5)]
    assert [line[:7] for line in lines] == [
        ["syslog_adapter-0", "*", "syslog://h", "idle", "4", "9", "8"],
        ["syslog_adapter-1", "*", "syslog://h", "idle", "5", "9", "8"],
    ]


def test_without_an_adapter_there_is_no_status(tmp_path: Path) -> None:
    (tmp_path / "endpoints.json").write_text('{"metron": "a:1"}')

    with pytest.raises(NotRunning, match=r"no syslog_adapter\.cache is running"):
        drain.status(tmp_path)
