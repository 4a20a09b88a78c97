"""An authority that asks a UAA and a Cloud Controller, both fakes."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from plumbing.auth import Access, Authority, AuthSettings, Decision, make_authority
from tests.fakes.capi import FakeCapi
from tests.fakes.uaa import FakeUaa

APP = "9f3c2a41-58cc-4372-a567-0e02b2c3d479"
SERVICE = "0e02b2c3-58cc-4372-a567-9f3c2a41d479"
ROOT = Path(__file__).parents[1]
SECRET = "a secret that is thirty-two bytes or more"


@dataclass
class Asked:
    """An authority on either event loop, and those whom it asks."""

    uaa: FakeUaa
    capi: FakeCapi
    certs: Path
    run: Any
    secret: Path

    def authority(self, **changes: Any) -> Authority:
        """Make one that asks both; it need not be closed, as it keeps no connection."""
        client = self.certs / "client"
        settings = {
            "mode": "uaa",
            "uaa_url": self.uaa.url,
            "uaa_ca": self.certs / "ca.crt",
            "uaa_client_id": self.uaa.client_id,
            "uaa_client_secret_file": self.secret,
            "capi_url": self.capi.url,
            "capi_external_url": self.capi.external_url,
            "capi_ca": self.certs / "ca.crt",
            "capi_cert": client.with_suffix(".crt"),
            "capi_key": client.with_suffix(".key"),
            "timeout_s": 10.0,
        }
        return make_authority(AuthSettings(**{**settings, **changes}))

    async def access(self, question: Any, *arguments: Any, **options: Any) -> Access:
        """Ask on the loop of this test."""
        decision: Decision = await self.run(partial(question, *arguments, **options))
        return decision.access


async def here(function: Any) -> Any:
    return await function()
