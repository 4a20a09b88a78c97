import base64
import hmac
import json
import string
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey

from plumbing.auth import MAX_TOKEN_BYTES, AccessDenied, Grant, TokensError, TokenVerifier
from plumbing.tokens import TokenStore

NOW = 1_700_000_000.0
CLAIMS: dict[str, Any] = {
    "iss": "standpipe",
    "aud": "standpipe",
    "jti": "0123",
    "iat": NOW - 10,
    "exp": NOW + 60,
    "scope": ["doppler.firehose"],
    "sources": [],
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tokens of one installation, which a test reads and does not change."""
    directory = tmp_path_factory.mktemp("tokens")
    TokenStore(directory).ensure_admin_token(NOW)
    return directory


@pytest.fixture(scope="module")
def verifier(directory: Path) -> TokenVerifier:
    return TokenVerifier(directory)


def signed(directory: Path, claims: dict[str, Any]) -> str:
    key = OKPKey.import_key((directory / "signing.key").read_bytes())
    return jwt.encode({"alg": "Ed25519"}, claims, key, algorithms=["Ed25519"])


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def with_claims(**changes: object) -> dict[str, Any]:
    return {name: value for name, value in {**CLAIMS, **changes}.items() if value is not ...}


def test_a_good_token_is_granted_what_it_says(verifier: TokenVerifier, directory: Path) -> None:
    token = signed(directory, with_claims(sources=["app"]))

    assert verifier.verify(token, NOW) == Grant(frozenset({"doppler.firehose"}), frozenset({"app"}), "0123", NOW + 60)


def test_a_token_without_an_end_does_not_expire(verifier: TokenVerifier, directory: Path) -> None:
    assert verifier.verify(signed(directory, with_claims(exp=...)), NOW + 1e9).expires_at is None


def test_the_public_key_is_all_that_is_needed(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "signing.pub").write_bytes((directory / "signing.pub").read_bytes())

    assert TokenVerifier(tmp_path).verify(signed(directory, CLAIMS), NOW)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "EdDSA", "HS256", "Ed448", "", None, 5, ["Ed25519"]])
def test_a_token_that_names_another_algorithm_is_refused(
    verifier: TokenVerifier, directory: Path, algorithm: object
) -> None:
    _, payload, signature = signed(directory, CLAIMS).split(".")
    header = encoded({"alg": algorithm, "typ": "JWT"})

    for tail in (signature, ""):
        with pytest.raises(AccessDenied, match="does not verify"):
            verifier.verify(f"{header}.{payload}.{tail}", NOW)


def test_the_public_key_is_no_secret_to_sign_with(verifier: TokenVerifier, directory: Path) -> None:
    body = f"{encoded({'alg': 'HS256', 'typ': 'JWT'})}.{encoded(CLAIMS)}"
    mac = hmac.digest((directory / "signing.pub").read_bytes(), body.encode(), "sha256")

    with pytest.raises(AccessDenied, match="does not verify: UnsupportedAlgorithmError"):
        verifier.verify(f"{body}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}", NOW)


def test_a_key_that_comes_with_the_token_is_not_believed(verifier: TokenVerifier) -> None:
    key = OKPKey.generate_key("Ed25519")
    header = {"alg": "Ed25519", "jwk": key.as_dict(private=False)}

    with pytest.raises(AccessDenied, match="does not verify"):
        verifier.verify(jwt.encode(header, CLAIMS, key, algorithms=["Ed25519"]), NOW)


def test_a_token_of_another_key_is_refused(verifier: TokenVerifier, tmp_path: Path) -> None:
    other = TokenStore(tmp_path).ensure_admin_token(NOW).read_text()

    with pytest.raises(AccessDenied, match="does not verify: BadSignatureError"):
        verifier.verify(other, NOW)


def test_a_token_of_another_kind_of_key_is_refused(verifier: TokenVerifier) -> None:
    key = ECKey.generate_key("P-256")

    with pytest.raises(AccessDenied, match="does not verify"):
        verifier.verify(jwt.encode({"alg": "ES256"}, CLAIMS, key), NOW)


def test_an_altered_payload_is_refused(verifier: TokenVerifier, directory: Path) -> None:
    header, _, signature = signed(directory, with_claims(scope=["logs.admin"])).split(".")

    with pytest.raises(AccessDenied, match="does not verify: BadSignatureError"):
        verifier.verify(f"{header}.{encoded(CLAIMS)}.{signature}", NOW)


def test_a_signature_cut_short_is_refused(verifier: TokenVerifier, directory: Path) -> None:
    with pytest.raises(AccessDenied, match="does not verify"):
        verifier.verify(signed(directory, CLAIMS)[:-4], NOW)


@pytest.mark.parametrize("late", [0, 0.5, 1e9])
def test_an_expired_token_is_refused(verifier: TokenVerifier, directory: Path, late: float) -> None:
    with pytest.raises(AccessDenied, match="expired"):
        verifier.verify(signed(directory, CLAIMS), NOW + 60 + late)


def test_a_token_is_not_good_before_its_time(verifier: TokenVerifier, directory: Path) -> None:
    token = signed(directory, with_claims(nbf=NOW + 1))

    with pytest.raises(AccessDenied, match="not valid yet"):
        verifier.verify(token, NOW)
    assert verifier.verify(token, NOW + 1)


@pytest.mark.parametrize("claim", ["iss", "aud", "jti", "iat", "scope", "sources"])
def test_a_token_must_say_everything(verifier: TokenVerifier, directory: Path, claim: str) -> None:
    with pytest.raises(AccessDenied, match="does not say what a token must"):
        verifier.verify(signed(directory, with_claims(**{claim: ...})), NOW)


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("iss", "uaa"),
        ("aud", "uaa"),
        ("aud", ["standpipe"]),
        ("jti", 5),
        ("iat", "yesterday"),
        ("exp", str(NOW + 60)),
        ("exp", True),
        ("exp", [NOW + 60]),
        ("nbf", "now"),
        ("scope", "doppler.firehose"),
        ("scope", {"doppler.firehose": 1}),
        ("scope", ["doppler.firehose", 5]),
        ("scope", None),
        ("sources", "app"),
        ("sources", [["app"]]),
    ],
)
def test_a_claim_of_the_wrong_kind_is_refused(
    verifier: TokenVerifier, directory: Path, claim: str, value: object
) -> None:
    with pytest.raises(AccessDenied, match="does not say what a token must"):
        verifier.verify(signed(directory, with_claims(**{claim: value})), NOW)


def test_a_long_token_is_refused_unread(verifier: TokenVerifier, directory: Path) -> None:
    good = signed(directory, with_claims(padding="x" * MAX_TOKEN_BYTES))

    for token in (good, "x" * 1_000_000, "." * 1_000_000):
        with pytest.raises(AccessDenied, match="too long"):
            verifier.verify(token, NOW)


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "...", "a.b", "a.b.c", "....", "null", "\udc80", "Zoë.Zoë.Zoë", "\0.\0.\0", "e30.e30.", "bearer x"],
)
def test_garbage_is_refused(verifier: TokenVerifier, token: str) -> None:
    with pytest.raises(AccessDenied, match="does not verify"):
        verifier.verify(token, NOW)


@pytest.mark.parametrize(
    "header", [[], ["alg"], "alg", 5, None, {"alg": "Ed25519", "crit": 5}, {"alg": {}, "crit": [[]]}]
)
def test_a_header_of_the_wrong_shape_is_refused(verifier: TokenVerifier, directory: Path, header: object) -> None:
    _, payload, signature = signed(directory, CLAIMS).split(".")

    with pytest.raises(AccessDenied, match="does not verify"):
        verifier.verify(f"{encoded(header)}.{payload}.{signature}", NOW)


def test_a_deeply_nested_header_is_refused(verifier: TokenVerifier) -> None:
    header = base64.urlsafe_b64encode(b"[" * 6000).decode().rstrip("=")

    with pytest.raises(AccessDenied, match="does not verify"):
        verifier.verify(f"{header}.e30.e30", NOW)


@given(header=st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner)))
def test_no_header_gets_past(verifier: TokenVerifier, header: object) -> None:
    with pytest.raises(AccessDenied):
        verifier.verify(f"{encoded(header)}.{encoded(CLAIMS)}.{'A' * 86}", NOW)


@given(token=st.text() | st.text(alphabet=string.ascii_letters + string.digits + "-_.", max_size=200))
def test_no_text_gets_past(verifier: TokenVerifier, token: str) -> None:
    with pytest.raises(AccessDenied):
        verifier.verify(token, NOW)


@pytest.mark.parametrize("good_but_for_its_claims", [True, False])
def test_a_refusal_does_not_repeat_the_token(
    verifier: TokenVerifier, directory: Path, good_but_for_its_claims: bool
) -> None:
    claims = with_claims(scope=["s3cret", 5])
    token = signed(directory, claims) if good_but_for_its_claims else f"{encoded({'alg': 's3cret'})}.s3cret.s3cret"

    with pytest.raises(AccessDenied) as refusal:
        verifier.verify(token, NOW)

    told = "".join(traceback.format_exception(refusal.value))
    assert "s3cret" not in told
    assert token.split(".")[0] not in told


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path)


def test_a_revocation_counts_without_a_restart(store: TokenStore, tmp_path: Path) -> None:
    token = store.ensure_admin_token(NOW).read_text()
    verifier = TokenVerifier(tmp_path)
    grant = verifier.verify(token, NOW)

    store.revoke(grant.token_id)

    with pytest.raises(AccessDenied, match="revoked"):
        verifier.verify(token, NOW)


def test_a_second_revocation_counts_too(store: TokenStore, tmp_path: Path) -> None:
    tokens = [store.create(scopes=["logs.admin"], expires_in_s=None, now=NOW) for _ in range(2)]
    verifier = TokenVerifier(tmp_path)
    for token in tokens:
        store.revoke(verifier.verify(token, NOW).token_id)

    for token in tokens:
        with pytest.raises(AccessDenied, match="revoked"):
            verifier.verify(token, NOW)


def test_a_new_key_counts_without_a_restart(store: TokenStore, tmp_path: Path) -> None:
    old = store.ensure_admin_token(NOW).read_text()
    verifier = TokenVerifier(tmp_path)
    (tmp_path / "signing.key").unlink()
    (tmp_path / "signing.pub").unlink()

    new = store.ensure_admin_token(NOW).read_text()

    assert verifier.verify(new, NOW)
    with pytest.raises(AccessDenied, match="does not verify"):
        verifier.verify(old, NOW)


def test_files_are_read_again_only_when_they_changed(
    store: TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = store.ensure_admin_token(NOW).read_text()
    verifier = TokenVerifier(tmp_path)

    def unexpected(path: Path) -> bytes:
        raise AssertionError(path)

    monkeypatch.setattr(Path, "read_bytes", unexpected)

    assert verifier.verify(token, NOW)


@pytest.mark.parametrize("content", [b"nonsense", b"{}", b"[5]"])
def test_while_the_list_of_the_revoked_is_spoilt_nobody_is_let_in(
    store: TokenStore, tmp_path: Path, content: bytes
) -> None:
    token = store.ensure_admin_token(NOW).read_text()
    verifier = TokenVerifier(tmp_path)
    (tmp_path / "revoked.json").write_bytes(content)

    for _ in range(2):
        with pytest.raises(AccessDenied, match=r"no token can be verified: .*revoked\.json: not"):
            verifier.verify(token, NOW)

    (tmp_path / "revoked.json").write_bytes(b"[]")
    assert verifier.verify(token, NOW)


def test_while_the_key_is_gone_nobody_is_let_in(store: TokenStore, tmp_path: Path) -> None:
    token = store.ensure_admin_token(NOW).read_text()
    verifier = TokenVerifier(tmp_path)
    (tmp_path / "signing.pub").unlink()

    with pytest.raises(AccessDenied, match=r"signing\.pub: missing"):
        verifier.verify(token, NOW)


def test_a_verifier_without_a_key_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(TokensError, match=r"signing\.pub: missing"):
        TokenVerifier(tmp_path)


def test_a_verifier_with_a_damaged_key_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "signing.pub").write_bytes(b"nonsense")

    with pytest.raises(TokensError, match=r"signing\.pub: not a PEM public key"):
        TokenVerifier(tmp_path)


def test_a_verifier_with_a_key_of_another_kind_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "signing.pub").write_bytes(ECKey.generate_key("P-256").as_pem(private=False))

    with pytest.raises(TokensError, match=r"signing\.pub: not an Ed25519 key"):
        TokenVerifier(tmp_path)
