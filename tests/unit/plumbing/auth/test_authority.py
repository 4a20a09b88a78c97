import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from plumbing.auth import Access, AuthSettings, TokensError, make_authority
from plumbing.tokens import TokenStore


async def test_local_means_the_tokens_of_this_installation(tmp_path: Path) -> None:
    token = TokenStore(tmp_path).ensure_admin_token(time.time()).read_text()
    authority = make_authority(AuthSettings(tokens_dir=tmp_path))

    assert (await authority.firehose(token)).access is Access.GRANTED
    assert (await authority.firehose(token[:-2])).access is Access.DENIED


def test_local_tokens_without_a_key_are_found_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(TokensError, match=r"signing\.pub: missing"):
        make_authority(AuthSettings(tokens_dir=tmp_path))


async def test_an_open_door_is_said_to_be_open() -> None:
    with capture_logs() as logs:
        authority = make_authority(AuthSettings(mode="open"))

    assert (await authority.firehose(None)).access is Access.GRANTED
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("access_control_off", "warning")]
