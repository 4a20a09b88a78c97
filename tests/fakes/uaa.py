"""A UAA that signs tokens and answers `/check_token` and `/token_keys` over HTTPS, as far as a log pipeline asks.

`python -m tests.fakes.uaa --certs DIR` runs one until its standard input ends; the first line it prints is JSON with
its `url`. `POST /oauth/token` with `user`, `scope` (separated by spaces) and `expires_in` then signs a token.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import secrets
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey, RSAKey

from tests.fakes.https_server import HttpsServer, Mood, Reply, Seen
from tests.fakes.jwts import rsa


class FakeUaa(AbstractContextManager["FakeUaa"]):
    """Signs with its newest key; the older ones are listed too until they are withdrawn."""

    def __init__(
        self, certs: Path, *, client_id: str = "doppler", client_secret: str = "s3cret:%&", port: int = 0
    ) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.revoked: set[str] = set()
        self.listing: tuple[str, ...] = ("n", "e", "value")
        self.secret: str | None = None
        self._numbers = itertools.count(1)
        self._keys: dict[str, RSAKey] = {}
        self.rotate()
        self._server = HttpsServer(certs, self._answer, leaf="nozzle", port=port)
        self.url = self._server.url
        self.issuer = f"{self.url}/oauth/token"

    def __exit__(self, *_: object) -> None:
        self._server.close()

    @property
    def requests(self) -> list[Seen]:
        """Return what was asked so far."""
        return self._server.requests

    def asked(self, path: str) -> int:
        """Return how many times a path was asked for."""
        return sum(seen.path == path for seen in self.requests)

    def be(self, mood: Mood) -> None:
        """Behave like this from the next request on."""
        self._server.mood = mood

    def rotate(self, *, kid: str | None = None) -> str:
        """Sign with a new key from now on; returns its id."""
        number = next(self._numbers)
        kid = kid or f"key-{number}"
        self._keys.pop(kid, None)
        self._keys[kid] = rsa(number)
        return kid

    def withdraw_old_keys(self) -> None:
        """Forget every key but the newest."""
        kid, key = self._keys.popitem()
        self._keys = {kid: key}

    def token(self, *scopes: str, user: str = "alice", expires_in: float = 600, **changes: Any) -> str:
        """Sign a token; a claim given as `...` is left out."""
        kid = next(reversed(self._keys))
        return self.signed(
            {"alg": "RS256", "kid": kid}, self.claims(*scopes, user=user, expires_in=expires_in, **changes)
        )

    def claims(self, *scopes: str, user: str = "alice", expires_in: float = 600, **changes: Any) -> dict[str, Any]:
        """Return what a token says."""
        now = int(time.time())
        said = {
            "jti": secrets.token_hex(16),
            "sub": user,
            "user_name": user,
            "client_id": "cf",
            "scope": [*scopes],
            "iss": self.issuer,
            "aud": ["cf", "doppler"],
            "iat": now,
            "exp": int(now + expires_in),
            **changes,
        }
        return {name: value for name, value in said.items() if value is not ...}

    def signed(self, header: dict[str, Any], claims: dict[str, Any], key: RSAKey | OctKey | None = None) -> str:
        """Sign `claims` with the key that `header` names, or with another."""
        header = {"typ": "JWT", "jku": f"{self.url}/token_keys", **header}
        registry = jws.JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
        return jwt.encode(header, claims, key or self._keys[header["kid"]], [header["alg"]], registry)

    def who(self, token: str) -> dict[str, Any] | None:
        """Return what a good token says, None for others."""
        try:
            kid = jws.extract_compact(token.encode()).headers()["kid"]
            claims = jwt.decode(token, self._keys[kid], ["RS256"]).claims
        except (JoseError, ValueError, KeyError):
            return None
        return claims if claims["exp"] > time.time() and claims["jti"] not in self.revoked else None

    def _answer(self, seen: Seen) -> Reply:
        match seen.method, seen.path:
            case "POST", "/check_token":
                return self._check_token(seen)
            case "GET", "/token_keys":
                return Reply(200, {"keys": self._listed()})
            case "POST", "/oauth/token":
                form = seen.form
                token = self.token(
                    *form.get("scope", "").split(),
                    user=form.get("user", "alice"),
                    expires_in=float(form.get("expires_in", 600)),
                )
                return Reply(200, {"access_token": token, "token_type": "bearer"})
            case _:
                return Reply(404)

    def _check_token(self, seen: Seen) -> Reply:
        basic = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        if seen.headers.get("authorization") != f"Basic {basic}":
            return Reply(401, {"error": "unauthorized"})
        claims = self.who(seen.form.get("token", ""))
        return Reply(400, {"error": "invalid_token"}) if claims is None else Reply(200, claims)

    def _listed(self) -> list[dict[str, Any]]:
        listed = []
        for kid, key in self._keys.items():
            parts = {**key.as_dict(private=False), "value": key.as_pem(private=False).decode()}
            entry = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid}
            listed.append(entry | {name: parts[name] for name in self.listing})
        if self.secret is not None:
            listed.append({"kty": "MAC", "use": "sig", "alg": "HS256", "kid": "shared", "value": self.secret})
        return listed


def main() -> None:
    """Run one as a process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certs", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--client-id", default="doppler")
    parser.add_argument("--client-secret", default="secret")
    told = parser.parse_args()
    with FakeUaa(told.certs, client_id=told.client_id, client_secret=told.client_secret, port=told.port) as uaa:
        print(json.dumps({"url": uaa.url}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
