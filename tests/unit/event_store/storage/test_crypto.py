from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.storage import StoreLocked
from event_store.storage.crypto import Keyring, read_keys
from tests.unit.event_store.storage.events import key_file

A, B = b"a" * 32, b"b" * 32


@given(st.binary(max_size=300))
def test_what_is_sealed_is_opened_by_who_has_the_key(plain: bytes) -> None:
    sealed = Keyring([A]).seal(plain)

    assert Keyring([B, A]).open(sealed) == plain
    assert sealed != Keyring([A]).seal(plain)
    assert len(plain) < 8 or plain not in sealed
    with pytest.raises(StoreLocked, match=f"another key, {Keyring([A]).current}: the key file has"):
        Keyring([B]).open(sealed)


@given(st.binary(max_size=100))
def test_what_was_never_sealed_is_not_opened(content: bytes) -> None:
    with pytest.raises((StoreLocked, ValueError)):
        Keyring([A]).open(content)
    with pytest.raises(ValueError, match=r"changed|too few"):
        Keyring([A]).open(bytes.fromhex(Keyring([A]).current) + content)


@given(st.integers(0, 10**6))
def test_a_bit_that_is_changed_is_seen(place: int) -> None:
    sealed = bytearray(Keyring([A]).seal(b"events"))
    sealed[place % len(sealed)] ^= 4

    with pytest.raises((StoreLocked, ValueError)):
        Keyring([A]).open(bytes(sealed))


def test_each_file_has_a_secret_of_its_own() -> None:
    keys = Keyring([A, B])

    assert keys.of_file("x", keys.current) == Keyring([A]).of_file("x", keys.current) != A
    assert keys.of_file("x", keys.current) != keys.of_file("y", keys.current)
    assert keys.of_file("x", Keyring([B]).current) != keys.of_file("x", keys.current)
    with pytest.raises(StoreLocked, match="x is sealed with another key"):
        Keyring([B]).of_file("x", keys.current)


def test_the_first_key_of_a_file_seals(tmp_path: Path) -> None:
    assert read_keys(key_file(tmp_path / "keys", b"a", b"b")).current == Keyring([A]).current
    assert read_keys(key_file(tmp_path / "keys", b"b", b"a")).current == Keyring([B]).current


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (A.hex(), 0o640, "others than its owner"),
        (A.hex(), 0o604, "others than its owner"),
        ("", 0o600, "has 0 keys"),
        (f"{A.hex()}\n\n{A.hex()[1:]}", 0o600, "line 3"),
        ("ü" * 64, 0o600, "line 1"),
        (f"{A.hex()}\n" * 101, 0o600, "has 101 keys"),
    ],
)
def test_a_file_that_is_no_good_is_refused_and_no_key_is_shown(
    tmp_path: Path, content: str, mode: int, said: str
) -> None:
    path = tmp_path / "keys"
    path.write_text(content)
    path.chmod(mode)

    with pytest.raises(StoreLocked, match=rf"{path}.*{said}|{said}.*{path}") as error:
        read_keys(path)
    assert A.hex()[:20] not in str(error.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreLocked, match="keys cannot be read: No such file"):
        read_keys(tmp_path / "keys")
