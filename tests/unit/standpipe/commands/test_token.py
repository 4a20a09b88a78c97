import json
import time
from pathlib import Path

import pytest
import typer

from plumbing.auth import AccessDenied, TokenVerifier
from standpipe.commands.token import create, list_tokens, parse_duration, revoke
from standpipe.errors import CommandFailed

Output = pytest.CaptureFixture[str]


def make(data_dir: Path, capsys: Output, **options: object) -> str:
    create(**{"scope": ["doppler.firehose"], **options}, data_dir=data_dir)  # type: ignore[arg-type]  # as typer calls it
    return capsys.readouterr().out.strip()


def test_the_token_is_all_that_is_printed(tmp_path: Path, capsys: Output) -> None:
    token = make(tmp_path, capsys)

    assert TokenVerifier(tmp_path / "tokens").verify(token, time.time()).may_read_firehose()


def test_a_new_signing_key_is_mentioned_once(tmp_path: Path, capsys: Output) -> None:
    create(["logs.admin"], data_dir=tmp_path)
    assert "made a new signing key" in capsys.readouterr().err

    create(["logs.admin"], data_dir=tmp_path)
    assert capsys.readouterr().err == ""


def test_a_token_of_a_source_reads_that_source(tmp_path: Path, capsys: Output) -> None:
    token = make(tmp_path, capsys, scope=None, source=["shop"])
    grant = TokenVerifier(tmp_path / "tokens").verify(token, time.time())

    assert grant.may_read_source("shop")
    assert not grant.may_read_source("cart")


def test_a_token_expires_when_it_should(tmp_path: Path, capsys: Output) -> None:
    token = make(tmp_path, capsys, expires="1h")
    verifier = TokenVerifier(tmp_path / "tokens")

    assert verifier.verify(token, time.time() + 3500)
    with pytest.raises(AccessDenied):
        verifier.verify(token, time.time() + 3700)


def test_json_tells_what_the_token_is(tmp_path: Path, capsys: Output) -> None:
    create(["doppler.firehose"], name="nozzle", expires="never", data_dir=tmp_path, as_json=True)
    made = json.loads(capsys.readouterr().out)

    assert (made["name"], made["scopes"], made["expires"]) == ("nozzle", ["doppler.firehose"], None)
    assert TokenVerifier(tmp_path / "tokens").verify(made["token"], time.time()).token_id == made["id"]


@pytest.mark.parametrize(
    ("scope", "source", "message"),
    [
        (["doppler.firehos"], None, "'doppler.firehos' is none of doppler.firehose, logs.admin, source.read"),
        (["source.read"], None, "give --source"),
        (None, None, "must grant something"),
        (None, [""], "must not be empty"),
    ],
)
def test_a_token_of_nothing_is_wrong_usage(
    tmp_path: Path, scope: list[str] | None, source: list[str] | None, message: str
) -> None:
    with pytest.raises(typer.BadParameter, match=message):
        create(scope, source, data_dir=tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_the_list_shows_no_token(tmp_path: Path, capsys: Output) -> None:
    token = make(tmp_path, capsys, name="nozzle")
    list_tokens(tmp_path)
    shown = capsys.readouterr().out

    assert "nozzle" in shown
    assert "good" in shown
    assert token not in shown


def test_a_revoked_token_is_listed_as_such(tmp_path: Path, capsys: Output) -> None:
    make(tmp_path, capsys)
    list_tokens(tmp_path, as_json=True)
    (before,) = json.loads(capsys.readouterr().out)
    revoke(before["id"], tmp_path)
    assert capsys.readouterr().out == f"revoked {before['id']}\n"

    list_tokens(tmp_path, as_json=True)
    (after,) = json.loads(capsys.readouterr().out)
    assert after == {**before, "revoked": True}


def test_an_unknown_token_cannot_be_revoked(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="no token with the id 'nope'"):
        revoke("nope", tmp_path)


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("90m", 5400), ("24h", 86_400), ("30d", 2_592_000), ("2w", 1_209_600)]
)
def test_a_duration_has_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


def test_never_is_no_duration() -> None:
    assert parse_duration("never") is None


@pytest.mark.parametrize("text", ["", "30", "0d", "-1d", "1.5h", "1 d", "1y", "forever", "9999999999d"])
def test_what_is_no_duration_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_duration(text)
