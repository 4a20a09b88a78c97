import json
from pathlib import Path

import pytest
import typer

from standpipe.errors import CommandFailed, NotRunning
from standpipe.system import System, read_endpoints, resolve_data_dir

ENDPOINTS = {"metron": "127.0.0.1:3458", "doppler-0": "127.0.0.1:8082", "metron.admin": "127.0.0.1:14820"}


@pytest.fixture
def data_dir(tmp_path: Path, certs_dir: Path) -> Path:
    (tmp_path / "endpoints.json").write_text(json.dumps(ENDPOINTS))
    (tmp_path / "certs").symlink_to(certs_dir)
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "admin").write_text("a.b.c\n")
    return tmp_path


def test_a_given_data_dir_wins_over_the_environment(tmp_path: Path) -> None:
    assert resolve_data_dir(tmp_path, {"STANDPIPE_DATA_DIR": "/else"}) == tmp_path


def test_the_environment_names_the_data_dir() -> None:
    assert resolve_data_dir(None, {"STANDPIPE_DATA_DIR": "/srv/pipe", "XDG_DATA_HOME": "/x"}) == Path("/srv/pipe")


def test_the_data_dir_follows_the_xdg_convention() -> None:
    assert resolve_data_dir(None, {"XDG_DATA_HOME": "/x"}) == Path("/x/standpipe")


@pytest.mark.parametrize("environ", [{}, {"XDG_DATA_HOME": "relative/is/void"}])
def test_the_data_dir_is_in_the_home_directory_otherwise(environ: dict[str, str]) -> None:
    assert resolve_data_dir(None, environ) == Path.home() / ".local" / "share" / "standpipe"


def test_endpoints_are_found_in_the_data_dir(data_dir: Path) -> None:
    assert System.find(data_dir).address("doppler-0") == "127.0.0.1:8082"


def test_any_of_several_stands_for_its_kind(data_dir: Path) -> None:
    several = {"log_cache-0": "h:1", "log_cache-0.rest": "h:2", "log_cache-1.rest": "h:3"}
    (data_dir / "endpoints.json").write_text(json.dumps(several))
    system = System.find(data_dir)

    assert (system.address("log_cache.rest"), system.address("log_cache-1.rest")) == ("h:2", "h:3")


def test_a_data_dir_without_endpoints_is_of_nothing_that_runs(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match=f"nothing is running at {tmp_path}: no endpoints.json .*standpipe up"):
        System.find(tmp_path)


def test_a_component_that_was_not_started_is_not_running(data_dir: Path) -> None:
    with pytest.raises(NotRunning, match="no traffic_controller is running"):
        System.find(data_dir).address("traffic_controller")


@pytest.mark.parametrize("content", ["{", "[]", '{"metron": 1}'])
def test_endpoints_that_cannot_be_read_are_a_failure(tmp_path: Path, content: str) -> None:
    (tmp_path / "endpoints.json").write_text(content)
    with pytest.raises(CommandFailed, match=r"endpoints\.json: not"):
        read_endpoints(tmp_path)


def test_a_given_address_needs_no_data_dir(tmp_path: Path) -> None:
    system = System.find(tmp_path / "none", address="logs.example.com:443")

    assert system.address("metron") == system.address("traffic_controller") == "logs.example.com:443"


@pytest.mark.parametrize("address", ["logs.example.com", "host:0", "host:99999", ":80"])
def test_a_wrong_address_is_wrong_usage(address: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        System.find(address=address)

    assert "--address" in caught.value.format_message()


def test_a_certificate_without_its_key_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="both or neither"):
        System.find(address="host:1", cert=tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("metron", "metron"),
        ("doppler-11", "doppler"),
        ("doppler-0.admin", "doppler"),
        ("traffic_controller", "trafficcontroller"),
        ("traffic_controller.admin", "trafficcontroller"),
        ("log_cache-0.rest", "log-cache"),
        ("log_cache.rest", "log-cache"),
    ],
)
def test_components_of_ours_are_known_by_their_kind(data_dir: Path, name: str, expected: str) -> None:
    assert System.find(data_dir).server_name(name) == expected


def test_a_server_of_another_authority_is_known_by_its_host(tmp_path: Path) -> None:
    system = System.find(tmp_path, address="logs.example.com:443", ca=tmp_path / "ca.crt")

    assert system.server_name("traffic_controller") == "logs.example.com"


def test_tls_is_of_the_client_in_the_data_dir(data_dir: Path) -> None:
    files = System.find(data_dir).tls()

    assert files.cert == data_dir / "certs" / "client.crt"
    assert files.ca == data_dir / "certs" / "ca.crt"


def test_tls_files_can_be_given(data_dir: Path, other_certs_dir: Path) -> None:
    ca, cert, key = (other_certs_dir / name for name in ("ca.crt", "nozzle.crt", "nozzle.key"))
    files = System.find(data_dir, ca=ca, cert=cert, key=key).tls()

    assert (files.ca, files.cert, files.key) == (ca, cert, key)


def test_our_certificate_is_not_shown_to_a_system_of_another_authority(data_dir: Path, other_certs_dir: Path) -> None:
    with pytest.raises(typer.BadParameter, match="--cert and --key"):
        System.find(data_dir, ca=other_certs_dir / "ca.crt").tls()


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"certs/ca.crt: No such file.*give --ca, --cert and --key"):
        System.find(tmp_path, address="host:1").tls()


def test_the_token_is_the_administrators(data_dir: Path) -> None:
    assert System.find(data_dir).token() == "a.b.c"


def test_a_token_can_be_a_file(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("Bearer x.y.z\n")

    assert System.find(data_dir, token=str(tmp_path / "mine")).token() == "x.y.z"


def test_a_token_can_be_given_itself(data_dir: Path) -> None:
    assert System.find(data_dir, token="x.y.z").token() == "x.y.z"


def test_a_missing_token_file_is_named(data_dir: Path) -> None:
    with pytest.raises(CommandFailed, match="/nowhere/token: cannot read the token: No such file"):
        System.find(data_dir, token="/nowhere/token").token()


@pytest.mark.parametrize("content", [b"", b"two words", b"line\nline", b"\xff\xfe", b"a\x00b"])
def test_what_is_no_token_is_not_sent(data_dir: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine").write_bytes(content)
    with pytest.raises(CommandFailed, match="mine: not a token"):
        System.find(data_dir, token=str(tmp_path / "mine")).token()


def test_our_token_is_not_shown_to_a_system_of_another_authority(data_dir: Path, other_certs_dir: Path) -> None:
    with pytest.raises(typer.BadParameter, match="give --token"):
        System.find(data_dir, ca=other_certs_dir / "ca.crt").token()


def test_a_component_that_does_not_answer_may_have_been_killed(data_dir: Path) -> None:
    message = str(System.find(data_dir).unreachable("metron", OSError("connection\nrefused")))

    assert message.startswith("metron at 127.0.0.1:3458 does not answer: connection refused")
    assert "killed" in message


def test_all_of_several_are_named(data_dir: Path) -> None:
    system = System.find(data_dir)
    names = [name for name in system.endpoints if name.startswith("doppler-") and "." not in name]

    assert names
    assert system.all_of("doppler") == names
    assert System.find(address="127.0.0.1:1").all_of("doppler") == ["doppler"]
