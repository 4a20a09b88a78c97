import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey

from plumbing.auth import MAX_TOKEN_BYTES, AccessDenied
from plumbing.auth.keyring import MAX_KEYS, BadSignature, Rules, key_id, parse_keyring, verified_scopes
from tests.fakes.jwts import NOW, SECRET, encoded, forged, key_list, listed, rsa, shared, signed

ANY = Rules()
NONSENSE = r"no list of keys|without a key"


def scopes(token: str, *, keys: bytes | None = None, rules: Rules = ANY, symmetric: bool = False) -> frozenset[str]:
    keyring = parse_keyring(keys or key_list(listed("one", rsa(1))), symmetric=symmetric)
    return verified_scopes(token, keyring[key_id(token)], rules, NOW)


def test_a_good_token_has_its_scopes() -> None:
    assert scopes(signed(scope=["doppler.firehose", "openid"])) == {"doppler.firehose", "openid"}


@pytest.mark.parametrize("parts", [("n", "e"), ("value",), ("n", "e", "value")])
def test_a_key_may_be_given_either_way(parts: tuple[str, ...]) -> None:
    assert scopes(signed(), keys=key_list(listed("one", rsa(1), parts=parts)))


@pytest.mark.parametrize("alg", ["RS256", "SHA256withRSA", ...])
def test_an_algorithm_has_an_old_name_too(alg: object) -> None:
    assert scopes(signed(), keys=key_list(listed("one", rsa(1), alg=alg)))


def test_the_key_is_the_one_the_token_names() -> None:
    keys = key_list(listed("other", rsa(2)), listed("one", rsa(1)))

    assert scopes(signed(), keys=keys)
    assert scopes(signed(key=rsa(2), header={"kid": "other"}), keys=keys)


def test_a_signature_of_another_key_is_bad() -> None:
    with pytest.raises(BadSignature):
        scopes(signed(key=rsa(2)))


def test_a_changed_token_is_bad() -> None:
    header, _, signature = signed().split(".")
    _, payload, _ = signed(scope=["doppler.firehose", "logs.admin"]).split(".")

    with pytest.raises(BadSignature):
        scopes(f"{header}.{payload}.{signature}")


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE"])
@pytest.mark.parametrize("signature", ["", None])
def test_a_token_without_a_signature_is_denied(alg: str, signature: str | None) -> None:
    with pytest.raises(AccessDenied):
        scopes(forged(signed(), {"alg": alg, "kid": "one"}, signature))


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("pem_ending", [b"", b"\n"])
def test_a_public_key_is_never_taken_for_a_secret(symmetric: bool, pem_ending: bytes) -> None:
    _, payload, _ = signed().split(".")
    head = encoded(json.dumps({"alg": "HS256", "kid": "one"}).encode())
    pem = rsa(1).as_pem(private=False).strip() + pem_ending
    seal = hmac.new(pem, f"{head}.{payload}".encode(), hashlib.sha256).digest()

    with pytest.raises(AccessDenied):
        scopes(f"{head}.{payload}.{encoded(seal)}", symmetric=symmetric)


def test_a_key_that_is_listed_as_a_secret_too_counts_as_neither() -> None:
    pem = rsa(1).as_pem(private=False).decode()

    with pytest.raises(ValueError, match="without a key"):
        parse_keyring(key_list(shared("one", pem)), symmetric=True)


@pytest.mark.parametrize("alg", ["RS384", "RS512", "PS256"])
def test_another_algorithm_of_the_same_key_is_denied(alg: str) -> None:
    with pytest.raises(AccessDenied):
        scopes(signed(alg=alg))


def test_a_shared_secret_counts_where_it_is_allowed() -> None:
    token = signed(key=OctKey.import_key(SECRET), alg="HS256", header={"kid": "shared"})
    keys = key_list(listed("one", rsa(1)), shared("shared"))

    assert scopes(token, keys=keys, symmetric=True)
    assert "shared" not in parse_keyring(keys, symmetric=False)


def test_a_shared_secret_may_be_given_as_a_jwk() -> None:
    token = signed(key=OctKey.import_key(SECRET), alg="HS256")
    entry = {"kty": "oct", "kid": "one", "k": encoded(SECRET.encode())}

    assert scopes(token, keys=key_list(entry), symmetric=True)


def test_a_token_of_one_kind_is_not_verified_with_a_key_of_the_other() -> None:
    keys = key_list(shared("one"))

    with pytest.raises(AccessDenied):
        scopes(signed(), keys=keys, symmetric=True)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": NOW}, "expired"),
        ({"exp": NOW - 1}, "expired"),
        ({"nbf": NOW + 1}, "not valid yet"),
        ({"jti": "0123-r"}, "for getting others"),
        ({"exp": ...}, "does not say"),
        ({"exp": None}, "does not say"),
        ({"exp": "never"}, "does not say"),
        ({"exp": True}, "does not say"),
        ({"scope": ...}, "does not say"),
        ({"scope": "doppler.firehose"}, "does not say"),
        ({"scope": [["doppler.firehose"]]}, "does not say"),
        ({"iss": 5}, "does not say"),
        ({"aud": {"doppler": 1}}, "does not say"),
    ],
)
def test_what_a_token_says_must_let_it_in(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(AccessDenied, match=reason) as denied:
        scopes(signed(**changes))
    assert not isinstance(denied.value, BadSignature)


@pytest.mark.parametrize("exp", [float("inf"), float("nan")])
def test_a_token_does_not_last_for_ever(exp: float) -> None:
    with pytest.raises(AccessDenied):
        scopes(signed(exp=exp))


@pytest.mark.parametrize("changes", [{"nbf": ...}, {"iss": ...}, {"aud": ...}, {"jti": ...}, {"aud": "doppler"}])
def test_what_is_not_asked_for_may_be_missing(changes: dict[str, Any]) -> None:
    assert scopes(signed(**changes))


@pytest.mark.parametrize("issuer", ["https://uaa.example/oauth/token/", "https://UAA.example/oauth/token", "x"])
def test_another_issuer_is_denied(issuer: str) -> None:
    assert scopes(signed(), rules=Rules(issuer="https://uaa.example/oauth/token"))
    with pytest.raises(AccessDenied, match="another issuer"):
        scopes(signed(), rules=Rules(issuer=issuer))


def test_a_token_for_others_is_denied() -> None:
    assert scopes(signed(), rules=Rules(audience="doppler"))
    assert scopes(signed(aud="doppler"), rules=Rules(audience="doppler"))
    for aud in ("dopplers", ["cf"], ...):
        with pytest.raises(AccessDenied, match="for others"):
            scopes(signed(aud=aud), rules=Rules(audience="doppler"))


def test_a_header_may_be_long_and_hold_what_nobody_knows() -> None:
    assert scopes(signed(header={"jku": "https://uaa.example/" + "a" * 1000, "legacy_token_key": True}))


def test_but_not_what_it_says_must_be_understood() -> None:
    with pytest.raises(AccessDenied):
        scopes(signed(header={"crit": ["exp"], "exp": 5}))


@pytest.mark.parametrize(
    "header", [{"kid": ...}, {"kid": None}, {"kid": 5}, {"kid": ["one"]}, {"kid": {}}], ids=lambda header: str(header)
)
def test_a_token_names_its_key(header: dict[str, Any]) -> None:
    said = {name: value for name, value in {"alg": "RS256", **header}.items() if value is not ...}

    with pytest.raises(AccessDenied, match="names no key"):
        key_id(forged(signed(), said))


@pytest.mark.parametrize("token", ["", ".", "..", "...", "a.b.c", "x" * 100, "opaque-token", f"{'a' * 400}.b.c"])
def test_what_is_no_token_is_denied(token: str) -> None:
    with pytest.raises(AccessDenied):
        key_id(token)


def test_a_token_has_a_bound() -> None:
    with pytest.raises(AccessDenied, match="too long"):
        key_id(signed(filler="a" * MAX_TOKEN_BYTES))


@given(st.binary(max_size=300))
def test_no_token_hurts(content: bytes) -> None:
    with pytest.raises(AccessDenied):
        scopes(content.decode("latin-1"))


@given(st.integers(0, 2000), st.integers(0, 255))
def test_no_byte_of_a_token_may_change(place: int, byte: int) -> None:
    token = signed()
    place %= len(token)
    changed = f"{token[:place]}{chr(byte)}{token[place + 1 :]}"
    if decoded(changed) == decoded(token):
        return

    with pytest.raises(AccessDenied):
        keyring = parse_keyring(key_list(listed("one", rsa(1))), symmetric=False)
        if (kid := key_id(changed)) not in keyring:
            raise AccessDenied("another key")
        verified_scopes(changed, keyring[kid], ANY, NOW)


def decoded(token: str) -> list[bytes] | str:
    """Return what the parts of a token say: the last character of one may hold bits that say nothing."""
    try:
        head, payload, seal = token.split(".")
        return [head.encode(), payload.encode(), base64.urlsafe_b64decode(seal + "==")]
    except ValueError:
        return token


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": ["one"]}',
        key_list(),
        key_list({}),
        key_list({"kty": "RSA", "kid": "one", "alg": "RS256"}),
        key_list({"kty": "RSA", "kid": "one", "value": "nonsense"}),
        key_list({"kty": "RSA", "kid": "one", "n": "!", "e": "AQAB"}),
        key_list({"kty": "RSA", "kid": "one", "n": "AQ", "e": "AQAB"}),
        key_list({"kty": "RSA", "kid": "one", "n": "ü", "e": "AQAB"}),
        key_list({"kty": "EC", "kid": "one", "value": ECKey.generate_key("P-256").as_pem(private=False).decode()}),
        key_list({"kty": "RSA", "kid": "one", "value": ECKey.generate_key("P-256").as_pem(private=False).decode()}),
        key_list({**listed("one", rsa(1)), "kid": 5}),
        key_list(listed("one", rsa(1), use="enc")),
        key_list(listed("one", rsa(1), alg="RS512")),
        key_list(shared("one")),
    ],
)
def test_a_list_without_a_key_of_use_is_nonsense(body: bytes) -> None:
    with pytest.raises(ValueError, match=NONSENSE):
        parse_keyring(body, symmetric=False)


@pytest.mark.filterwarnings("ignore:Key size")
@pytest.mark.parametrize("parts", [("n", "e"), ("value",)])
def test_a_short_key_is_of_no_use(parts: tuple[str, ...]) -> None:
    keys = key_list(listed("short", rsa(9, 1024), parts=parts), listed("one", rsa(1)))

    assert set(parse_keyring(keys, symmetric=False)) == {"one"}


@pytest.mark.parametrize("value", ["", "tokenKey", "x" * 31, "ssh-rsa -----BEGIN " + "x" * 31])
def test_a_short_secret_is_of_no_use(value: str) -> None:
    with pytest.raises(ValueError, match="without a key"):
        parse_keyring(key_list(shared("one", value)), symmetric=True)


def test_an_entry_of_no_use_takes_nothing_from_the_others() -> None:
    body = key_list({}, {"kty": "RSA", "kid": "one", "value": "nonsense"}, listed("two", rsa(1)), {"kty": 5})

    assert set(parse_keyring(body, symmetric=False)) == {"two"}


def test_a_list_has_a_bound() -> None:
    body = key_list(*(listed(str(number), rsa(1), parts=("n", "e")) for number in range(MAX_KEYS + 1)))

    assert len(parse_keyring(body, symmetric=False)) == MAX_KEYS


@given(st.binary(max_size=100))
def test_no_list_hurts(body: bytes) -> None:
    with pytest.raises(ValueError, match=NONSENSE):
        parse_keyring(body, symmetric=True)
