import json
import shutil
from pathlib import Path

import pytest

from plumbing.certs import LEAVES
from standpipe.commands.certs import certs
from standpipe.errors import CommandFailed

Output = pytest.CaptureFixture[str]


@pytest.fixture
def data_dir(tmp_path: Path, certs_dir: Path) -> Path:
    shutil.copytree(certs_dir, tmp_path / "certs")
    return tmp_path


def test_every_certificate_is_shown(data_dir: Path, capsys: Output) -> None:
    certs(data_dir=data_dir)
    _, *rows = capsys.readouterr().out.splitlines()

    assert [row.split()[0] for row in rows] == ["ca", *LEAVES]
    assert "metron localhost 127.0.0.1 ::1" in rows[2]


def test_what_is_there_is_kept(data_dir: Path, capsys: Output) -> None:
    certs(data_dir=data_dir, as_json=True)

    assert not any(each["made"] for each in json.loads(capsys.readouterr().out))


def test_what_is_missing_is_made(data_dir: Path, capsys: Output) -> None:
    (data_dir / "certs" / "client.crt").unlink()
    certs(data_dir=data_dir, as_json=True)

    assert [each["name"] for each in json.loads(capsys.readouterr().out) if each["made"]] == ["client"]


def test_all_but_the_ca_are_renewed_on_demand(data_dir: Path, capsys: Output) -> None:
    certs(renew=True, san=["logs.example.com"], data_dir=data_dir, as_json=True)
    ca, *leaves = json.loads(capsys.readouterr().out)

    assert ca["made"] == ""
    assert all(leaf["made"] and "logs.example.com" in leaf["sans"] for leaf in leaves)


def test_what_is_running_has_to_be_started_again(data_dir: Path, capsys: Output) -> None:
    (data_dir / "endpoints.json").write_text("{}")
    certs(renew=True, data_dir=data_dir)

    assert "after its next start" in capsys.readouterr().err


def test_what_cannot_be_made_is_a_failure(data_dir: Path) -> None:
    with pytest.raises(CommandFailed, match="neither a DNS name nor an IP address"):
        certs(san=["not a name"], data_dir=data_dir)
