"""A Cloud Controller that knows who may read the logs of which app and service instance, over HTTPS, and lists them.

`python -m tests.fakes.capi --certs DIR --uaa URL --app GUID=user --service GUID=user --name GUID=name` runs one until
its standard input ends; the first line it prints is JSON with its `url` (which asks for a client's certificate) and its
`external_url`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from plumbing.tls import client_context
from tests.fakes.https_server import HttpsServer, Mood, Reply, Seen

Who: TypeAlias = Callable[[str], dict[str, Any] | None]
"""Says what a good token says; None for others."""


class FakeCapi(AbstractContextManager["FakeCapi"]):
    """Two doors to one knowledge: the internal one wants a client's certificate, the external one does not."""

    def __init__(self, certs: Path, who: Who, *, port: int = 0, external_port: int = 0) -> None:
        self.apps: dict[str, set[str]] = {}
        self.services: dict[str, set[str]] = {}
        self.names: dict[str, str] = {}
        self.page_size = 5000
        self.replies: dict[str, Reply] = {}
        self._who = who
        self._internal = HttpsServer(certs, self._log_access, leaf="nozzle", client_certs=True, port=port)
        self._external = HttpsServer(certs, self._public, leaf="nozzle", port=external_port)
        self.url = self._internal.url
        self.external_url = self._external.url

    def __exit__(self, *_: object) -> None:
        self._internal.close()
        self._external.close()

    @property
    def requests(self) -> list[Seen]:
        """Return what was asked so far, at the internal door first."""
        return [*self._internal.requests, *self._external.requests]

    def asked(self, guid: str) -> list[str]:
        """Return the paths at which a guid was asked about."""
        return [seen.path for seen in self.requests if seen.path.endswith(f"/{guid}")]

    def be(self, mood: Mood) -> None:
        """Behave like this from the next request on, at both doors."""
        self._internal.mood = self._external.mood = mood

    def _log_access(self, seen: Seen) -> Reply:
        return self._about(seen, "/internal/v4/log_access/", self.apps)

    def _public(self, seen: Seen) -> Reply:
        for kind, known in (("/v3/apps", self.apps), ("/v3/service_instances", self.services)):
            if seen.path == kind:
                return self._list(seen, known)
            if seen.path.startswith(f"{kind}/"):
                return self._about(seen, f"{kind}/", known)
        return Reply(404)

    def _list(self, seen: Seen, known: dict[str, set[str]]) -> Reply:
        """Answer a page of what a token's user may see, of those with the names that are asked for."""
        claims = self._claims(seen)
        if claims is None:
            return Reply(401)
        given = {name: values[0] for name, values in parse_qs(seen.query).items()}
        names = {unquote(name) for name in given["names"].split(",")} if "names" in given else None
        mine = [guid for guid, readers in known.items() if claims["user_name"] in readers]
        found = [guid for guid in mine if names is None or self.names.get(guid) in names]
        size, number = min(self.page_size, int(given.get("per_page", 50))), int(given.get("page", 1))
        following = f"{self.external_url}{seen.path}?{seen.query.partition('&page=')[0]}&page={number + 1}"
        resources = [{"guid": guid, "name": self.names.get(guid, guid)} for guid in found]
        pagination = {"total_results": len(found), "next": {"href": following} if len(found) > number * size else None}
        return Reply(200, {"pagination": pagination, "resources": resources[(number - 1) * size : number * size]})

    def _about(self, seen: Seen, prefix: str, known: dict[str, set[str]]) -> Reply:
        if seen.path in self.replies:
            return self.replies[seen.path]
        claims = self._claims(seen)
        if claims is None:
            return Reply(401, {"errors": [{"title": "CF-InvalidAuthToken"}]})
        if not seen.path.startswith(prefix):
            return Reply(404)
        readers = known.get(seen.path.removeprefix(prefix), set())
        admin = "cloud_controller.admin" in claims["scope"]
        return Reply(200) if claims["user_name"] in readers or (admin and readers) else Reply(404)

    def _claims(self, seen: Seen) -> dict[str, Any] | None:
        scheme, _, token = seen.headers.get("authorization", "").partition(" ")
        return self._who(token) if scheme.lower() == "bearer" else None


def believer(uaa_url: str, certs: Path) -> Who:
    """Verify tokens with the keys that a UAA gives out, asked for each time."""
    context = client_context(certs / "ca.crt")

    def who(token: str) -> dict[str, Any] | None:
        listed = httpx.get(f"{uaa_url}/token_keys", verify=context, trust_env=False).json()
        try:
            claims = jwt.decode(token, KeySet.import_key_set(listed), ["RS256"]).claims
        except (JoseError, ValueError):
            return None
        return claims if claims["exp"] > time.time() else None

    return who


def main() -> None:
    """Run one as a process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certs", type=Path, required=True)
    parser.add_argument("--uaa", required=True)
    parser.add_argument("--app", action="append", default=[], metavar="GUID=USER")
    parser.add_argument("--service", action="append", default=[], metavar="GUID=USER")
    parser.add_argument("--name", action="append", default=[], metavar="GUID=NAME")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--external-port", type=int, default=0)
    told = parser.parse_args()
    who = believer(told.uaa, told.certs)
    with FakeCapi(told.certs, who, port=told.port, external_port=told.external_port) as capi:
        for known, pairs in ((capi.apps, told.app), (capi.services, told.service)):
            for guid, _, user in (pair.partition("=") for pair in pairs):
                known.setdefault(guid, set()).add(user)
        capi.names.update((guid, name) for guid, _, name in (pair.partition("=") for pair in told.name))
        print(json.dumps({"url": capi.url, "external_url": capi.external_url}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
