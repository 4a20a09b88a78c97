import json
import stat
from pathlib import Path

import pytest
from joserfc import jws

from plumbing.auth import AccessDenied, TokensError, TokenVerifier
from plumbing.tokens import TokenInfo, TokenStore

NOW = 1_700_000_000.25


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


@pytest.fixture
def store(directory: Path) -> TokenStore:
    return TokenStore(directory)


def only_token(store: TokenStore) -> TokenInfo:
    (info,) = store.list()
    return info


def test_a_token_grants_its_scopes(store: TokenStore, directory: Path) -> None:
    token = store.create(scopes=["doppler.firehose"], expires_in_s=None, now=NOW)

    assert TokenVerifier(directory).verify(token, NOW).scopes == {"doppler.firehose"}


def test_a_token_with_only_sources_has_the_scope_of_reading_them(store: TokenStore, directory: Path) -> None:
    token = store.create(scopes=[], sources=["app-1", "app-2"], expires_in_s=None, now=NOW)
    grant = TokenVerifier(directory).verify(token, NOW)

    assert grant.scopes == {"source.read"}
    assert grant.sources == {"app-1", "app-2"}


def test_a_token_ends_when_it_should(store: TokenStore, directory: Path) -> None:
    token = store.create(scopes=["logs.admin"], expires_in_s=60, now=NOW)
    verifier = TokenVerifier(directory)

    assert verifier.verify(token, NOW + 60).expires_at == 1_700_000_061
    with pytest.raises(AccessDenied, match="expired"):
        verifier.verify(token, NOW + 61)


def test_the_list_tells_what_was_made(store: TokenStore) -> None:
    store.create(scopes=["logs.admin"], sources=["app"], name="dashboard", expires_in_s=3600, now=NOW)
    info = only_token(store)

    assert info.name == "dashboard"
    assert info.scopes == ("logs.admin",)
    assert info.sources == ("app",)
    assert info.created == 1_700_000_000
    assert info.expires == 1_700_003_601
    assert not info.revoked


def test_the_id_in_the_list_is_that_of_the_token(store: TokenStore, directory: Path) -> None:
    token = store.create(scopes=["logs.admin"], expires_in_s=None, now=NOW)

    assert TokenVerifier(directory).verify(token, NOW).token_id == only_token(store).id


def test_the_list_is_in_order_and_survives_a_restart(store: TokenStore, directory: Path) -> None:
    for name in ("first", "second"):
        store.create(scopes=["logs.admin"], name=name, expires_in_s=None, now=NOW)

    assert [info.name for info in TokenStore(directory).list()] == ["first", "second"]


def test_without_tokens_the_list_is_empty_and_nothing_is_written(store: TokenStore, directory: Path) -> None:
    assert store.list() == []
    assert not directory.exists()


def test_no_file_holds_a_token_that_was_handed_out(store: TokenStore, directory: Path) -> None:
    token = store.create(scopes=["logs.admin"], expires_in_s=None, now=NOW)
    signature = token.rsplit(".", 1)[1]

    assert all(signature.encode() not in path.read_bytes() for path in directory.iterdir())


def test_files_are_for_their_owner_alone(store: TokenStore, directory: Path) -> None:
    store.ensure_admin_token(NOW)
    store.revoke(only_token(store).id)

    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in directory.iterdir()} == {
        "signing.key": "0o600",
        "signing.pub": "0o644",
        "tokens.json": "0o600",
        "revoked.json": "0o600",
        "admin": "0o600",
    }


def test_tokens_say_how_they_are_signed(store: TokenStore) -> None:
    token = store.create(scopes=["logs.admin"], expires_in_s=None, now=NOW)

    assert jws.extract_compact(token.encode()).headers() == {"typ": "JWT", "alg": "Ed25519"}


def test_an_unknown_scope_is_refused_with_the_known_ones(store: TokenStore) -> None:
    with pytest.raises(TokensError, match=r"unknown scope 'doppler.read'; known are doppler.firehose, logs.admin"):
        store.create(scopes=["doppler.read"], expires_in_s=None, now=NOW)

    assert store.list() == []


def test_the_scope_of_reading_sources_needs_sources(store: TokenStore) -> None:
    store.create(scopes=["source.read"], sources=["app"], expires_in_s=None, now=NOW)

    with pytest.raises(TokensError, match="unknown scope"):
        store.create(scopes=["source.read"], expires_in_s=None, now=NOW)


def test_a_token_for_nothing_is_refused(store: TokenStore) -> None:
    with pytest.raises(TokensError, match="needs a scope"):
        store.create(scopes=[], expires_in_s=None, now=NOW)


def test_a_source_without_a_name_is_refused(store: TokenStore) -> None:
    with pytest.raises(TokensError, match="must not be empty"):
        store.create(scopes=[], sources=["app", ""], expires_in_s=None, now=NOW)


def test_what_is_named_twice_counts_once(store: TokenStore) -> None:
    store.create(scopes=["logs.admin", "logs.admin"], sources=["app", "app"], expires_in_s=None, now=NOW)

    assert only_token(store).scopes == ("logs.admin",)
    assert only_token(store).sources == ("app",)


@pytest.mark.parametrize("expires_in_s", [0, -1, float("inf"), float("nan")])
def test_an_end_that_is_none_is_refused(store: TokenStore, expires_in_s: float) -> None:
    with pytest.raises(TokensError, match="must expire"):
        store.create(scopes=["logs.admin"], expires_in_s=expires_in_s, now=NOW)


def test_more_sources_than_a_request_could_carry_are_refused(store: TokenStore) -> None:
    with pytest.raises(TokensError, match="300 sources do not fit"):
        store.create(scopes=[], sources=[f"source-{n:030}" for n in range(300)], expires_in_s=None, now=NOW)

    assert store.list() == []


def test_a_revoked_token_is_worthless_and_others_are_not(store: TokenStore, directory: Path) -> None:
    first = store.create(scopes=["logs.admin"], expires_in_s=None, now=NOW)
    token_id = only_token(store).id
    second = store.create(scopes=["logs.admin"], expires_in_s=None, now=NOW)

    assert store.revoke(token_id).revoked

    with pytest.raises(AccessDenied, match="revoked"):
        TokenVerifier(directory).verify(first, NOW)
    assert TokenVerifier(directory).verify(second, NOW)
    assert [info.revoked for info in store.list()] == [True, False]


def test_revoking_twice_is_as_good_as_once(store: TokenStore, directory: Path) -> None:
    store.create(scopes=["logs.admin"], expires_in_s=None, now=NOW)
    for _ in range(2):
        store.revoke(only_token(store).id)

    assert json.loads((directory / "revoked.json").read_bytes()) == [only_token(store).id]


def test_revoking_what_is_unknown_is_refused(store: TokenStore) -> None:
    with pytest.raises(TokensError, match="no token with the id 'nobody'"):
        store.revoke("nobody")


def test_the_admin_token_may_do_everything_for_ever(store: TokenStore, directory: Path) -> None:
    path = store.ensure_admin_token(NOW)
    grant = TokenVerifier(directory).verify(path.read_text(), NOW + 1e9)

    assert path == directory / "admin"
    assert grant.scopes == {"doppler.firehose", "logs.admin"}
    assert grant.expires_at is None


def test_the_admin_token_is_kept_while_it_is_good(store: TokenStore) -> None:
    before = store.ensure_admin_token(NOW).read_text()

    assert store.ensure_admin_token(NOW + 1e9).read_text() == before
    assert only_token(store).name == "admin"


def test_the_admin_token_is_made_anew_when_the_key_is_another(store: TokenStore, directory: Path) -> None:
    before = store.ensure_admin_token(NOW).read_text()
    (directory / "signing.key").unlink()
    (directory / "signing.pub").unlink()

    token = store.ensure_admin_token(NOW).read_text()

    assert token != before
    assert TokenVerifier(directory).verify(token, NOW)
    with pytest.raises(AccessDenied):
        TokenVerifier(directory).verify(before, NOW)


def test_a_new_key_begins_a_new_registry(store: TokenStore, directory: Path) -> None:
    store.create(scopes=["logs.admin"], name="of the old key", expires_in_s=None, now=NOW)
    (directory / "signing.key").unlink()
    (directory / "signing.pub").unlink()

    store.ensure_admin_token(NOW)

    assert [info.name for info in store.list()] == ["admin"]


def test_the_admin_token_is_made_anew_when_another_key_was_put_in_place(
    store: TokenStore, directory: Path, tmp_path: Path
) -> None:
    before = store.ensure_admin_token(NOW).read_text()
    TokenStore(tmp_path / "other").ensure_admin_token(NOW)
    (tmp_path / "other" / "signing.key").replace(directory / "signing.key")

    token = store.ensure_admin_token(NOW).read_text()

    assert token != before
    assert TokenVerifier(directory).verify(token, NOW)


def test_the_admin_token_is_made_anew_when_it_was_revoked(store: TokenStore, directory: Path) -> None:
    before = store.ensure_admin_token(NOW).read_text()
    store.revoke(only_token(store).id)

    assert store.ensure_admin_token(NOW).read_text() != before


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\xfe"])
def test_the_admin_token_is_made_anew_when_its_file_is_spoilt(
    store: TokenStore, directory: Path, content: bytes
) -> None:
    path = store.ensure_admin_token(NOW)
    path.write_bytes(content)

    assert TokenVerifier(directory).verify(store.ensure_admin_token(NOW).read_text(), NOW)


def test_a_lesser_token_does_not_pass_for_the_admin_token(store: TokenStore, directory: Path) -> None:
    path = store.ensure_admin_token(NOW)
    path.write_text(store.create(scopes=["logs.admin"], expires_in_s=None, now=NOW))

    assert TokenVerifier(directory).verify(store.ensure_admin_token(NOW).read_text(), NOW).may_read_firehose()


def test_where_only_the_public_key_is_nothing_can_be_signed(store: TokenStore, directory: Path) -> None:
    store.ensure_admin_token(NOW)
    before = (directory / "signing.pub").read_bytes()
    (directory / "signing.key").unlink()

    with pytest.raises(TokensError, match=r"signing\.key: missing, and needed to sign"):
        store.create(scopes=["logs.admin"], expires_in_s=None, now=NOW)
    assert (directory / "signing.pub").read_bytes() == before


def test_a_public_key_that_was_lost_is_written_again(store: TokenStore, directory: Path) -> None:
    path = store.ensure_admin_token(NOW)
    token = path.read_text()
    (directory / "signing.pub").unlink()

    store.ensure_admin_token(NOW)

    assert TokenVerifier(directory).verify(token, NOW)


@pytest.mark.parametrize("name", ["signing.key", "tokens.json", "revoked.json"])
def test_a_damaged_file_is_named(store: TokenStore, directory: Path, name: str) -> None:
    store.ensure_admin_token(NOW)
    token_id = only_token(store).id
    (directory / name).write_bytes(b"nonsense")

    with pytest.raises(TokensError, match=f"{name}: not "):
        store.create(scopes=["logs.admin"], expires_in_s=None, now=NOW)
        store.revoke(token_id)


def test_a_key_of_another_kind_is_named(store: TokenStore, directory: Path, certs_dir: Path) -> None:
    directory.mkdir()
    (directory / "signing.key").write_bytes((certs_dir / "client.key").read_bytes())

    with pytest.raises(TokensError, match=r"signing\.key: not an Ed25519 key"):
        store.ensure_admin_token(NOW)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(TokensError, match="Not a directory"):
        TokenStore(tmp_path / "file" / "tokens").ensure_admin_token(NOW)
