"""One line of CEF for each request: nothing breaks out of its field, no token gets in, no rotation stops it."""

import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic_controller.access_log import AccessLog, access_line, split_address
from traffic_controller.http_messages import Request


def line(target: str = "/firehose/s", *headers: tuple[str, str], remote: str = "10.0.0.9:4567") -> str:
    return access_line(Request("GET", target, headers), remote=remote, local="10.0.0.1:8081", now_s=1.5)


def test_the_line_of_the_original() -> None:
    assert line("/firehose/s?filter-type=logs", ("x-vcap-request-id", "id-1")) == (
        "CEF:0|cloud_foundry|loggregator_trafficcontroller|1.0"
        "|GET /firehose/s?filter-type=logs|GET /firehose/s?filter-type=logs|0"
        "|rt=1500 cs1Label=userAuthenticationMechanism cs1=oauth-access-token cs2Label=vcapRequestId cs2=id-1"
        r" request=/firehose/s?filter-type\=logs requestMethod=GET src=10.0.0.9 spt=4567 dst=10.0.0.1 dpt=8081"
    )


@pytest.mark.parametrize(
    ("forwarded", "source", "port"),
    [
        ("1.2.3.4:99", "1.2.3.4", "99"),
        ("1.2.3.4, 6.3.4.5, 1.2.3.4", "1.2.3.4", ""),
        ("2001:db8::1", "2001:db8::1", ""),
        ("[2001:db8::1]:80", "2001:db8::1", "80"),
        ("", "10.0.0.9", "4567"),
        ("host:port", "", ""),
        ("not an address", "", ""),
    ],
)
def test_the_source_is_the_first_hop_that_proxies_speak_of(forwarded: str, source: str, port: str) -> None:
    assert f" src={source} spt={port} dst=" in line("/", ("x-forwarded-for", forwarded))


def test_no_token_gets_in() -> None:
    written = line(
        "/firehose/s?access_token=secret&limit=a.secret.b&explain=1#secret",
        ("authorization", "bearer secret"),
        ("cookie", "authorization=secret"),
    )

    assert "secret" not in written
    assert "|GET /firehose/s|" in written


@given(st.text(max_size=50))
def test_nothing_breaks_out_of_its_field(noise: str) -> None:
    written = line(f"/{noise}", ("x-vcap-request-id", noise), ("x-forwarded-for", noise))

    assert "\n" not in written
    assert "\r" not in written
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", written)) == 7 + len(re.findall(r"\|", written.split("|rt=")[1]))
    assert len(re.findall(r" dst=", written)) == 1


def test_what_is_long_is_cut() -> None:
    assert len(line("/" + "x" * 16_000)) < 5_000


def test_an_address_without_a_meaning_has_no_parts() -> None:
    assert split_address("[::1") == ("", "")
    assert split_address("") == ("", "")


def test_lines_are_appended_to_a_file_of_our_own(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    for each in ("one", "two"):
        log = AccessLog(file)
        log.write(each)
        log.close()

    assert file.read_text() == "one\ntwo\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_was_moved_away_or_removed_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    log = AccessLog(file)
    log.write("one")
    os.rename(file, tmp_path / "access.log.1")
    log.write("two")
    file.unlink()
    log.write("three")
    log.close()

    assert (tmp_path / "access.log.1").read_text() == "one\n"
    assert file.read_text() == "three\n"


def test_a_disk_that_takes_nothing_costs_lines_and_is_counted(tmp_path: Path) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    log = AccessLog(directory / "access.log")
    (directory / "access.log").unlink()
    directory.rmdir()

    log.write("one")
    directory.mkdir()
    log.write("two")
    log.close()

    assert log.failures == 1
    assert (directory / "access.log").read_text() == "two\n"


def test_a_file_that_cannot_be_made_is_found_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        AccessLog(tmp_path / "missing" / "access.log")
