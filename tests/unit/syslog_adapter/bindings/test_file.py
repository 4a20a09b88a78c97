from pathlib import Path

import pytest

from syslog_adapter.binding import Binding
from syslog_adapter.bindings.errors import SourceUnavailable
from syslog_adapter.bindings.file import FileBindings, parse_bindings

YAML = b"- {url: 'syslog://a:1', source_id: app, hostname: host}\n- url: https://everybody\n"
BOTH = (Binding(url="syslog://a:1", source_id="app", hostname="host"), Binding(url="https://everybody"))


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".yml", YAML),
        (
            ".json",
            b'{"bindings":[{"url":"syslog://a:1","source_id":"app","hostname":"host"},{"url":"https://everybody"}]}',
        ),
        (
            ".toml",
            b'[[bindings]]\nurl = "syslog://a:1"\nsource_id = "app"\nhostname = "host"\n'
            b'[[bindings]]\nurl = "https://everybody"\n',
        ),
    ],
)
def test_the_same_in_three_notations(suffix: str, content: bytes) -> None:
    assert parse_bindings(content, suffix) == BOTH


def test_the_original_s_form_is_read_too() -> None:
    content = b'[{"url":"syslog://a:1","credentials":[{"apps":[{"hostname":"host","app_id":"app"}]}]}]'

    assert parse_bindings(content, ".json") == BOTH[:1]


def test_an_empty_file_binds_nothing() -> None:
    assert parse_bindings(b"", ".yml") == ()


@pytest.mark.parametrize("content", [b"- {url: [", b"5", b"- {uri: x}", b"- {url: a, key: 5}", b"- 5"])
def test_what_is_wrong_is_named(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"not YAML|not a list|binding 1"):
        parse_bindings(content, ".yml")


def test_secrets_are_not_told() -> None:
    with pytest.raises(ValueError, match="binding 1") as raised:
        parse_bindings(b"- {url: 'https://user:pass@a', secret: hidden}", ".yml")

    assert "hidden" not in str(raised.value)
    assert "pass" not in str(raised.value)


async def test_a_change_is_seen_and_a_bad_one_says_so(tmp_path: Path) -> None:
    path = tmp_path / "bindings.yml"
    path.write_bytes(YAML)
    source = FileBindings(path, 1.0)
    assert await source.read() == BOTH

    path.write_bytes(b"- {url: 'syslog://other:1'}")
    assert await source.read() == (Binding(url="syslog://other:1"),)

    path.write_bytes(b"- 5 and not a binding")
    with pytest.raises(SourceUnavailable, match=r"bindings\.yml"):
        await source.read()


async def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="No such file"):
        await FileBindings(tmp_path / "none.yml", 1.0).read()
