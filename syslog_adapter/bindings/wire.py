"""Bindings as the original writes them: a URL, its credentials, and the apps of each (loggregator.md 5.1). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from syslog_adapter.binding import Binding


class _Lenient(BaseModel):
    """What others write: keys that nobody here knows are passed over, and null is nothing."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class WireApp(_Lenient):
    """An app, and what it is called in its messages."""

    hostname: str | None = None
    app_id: str = Field(min_length=1)


class WireCredentials(_Lenient):
    """A pair of certificate and key, an authority, and the apps that use them."""

    cert: str | None = None
    key: str | None = None
    ca: str | None = None
    apps: list[WireApp] | None = None


class WireBinding(_Lenient):
    """One URL with everybody who drains to it; for everybody's envelopes when it names no apps."""

    url: str
    credentials: list[WireCredentials] | None = None

    def bindings(self) -> list[Binding]:
        """Take it apart: one binding for each app of each credentials; none where there are no credentials."""
        return [
            Binding(
                url=self.url,
                source_id=app.app_id,
                hostname=app.hostname or "",
                cert=credentials.cert or "",
                key=credentials.key or "",
                ca=credentials.ca or "",
            )
            for credentials in self.credentials or ()
            for app in credentials.apps or ()
        ]


def to_wire(bindings: Iterable[Binding]) -> list[dict[str, Any]]:
    """Put bindings together again: one object for each URL, one of its credentials for each that differ."""
    urls: dict[str, dict[tuple[str, str, str], list[dict[str, str]]]] = {}
    for binding in bindings:
        apps = urls.setdefault(binding.url, {}).setdefault((binding.cert, binding.key, binding.ca), [])
        if not binding.is_aggregate:
            apps.append({"hostname": binding.hostname, "app_id": binding.source_id})
    return [
        {
            "url": url,
            "credentials": [
                {"cert": cert, "key": key, "ca": ca, "apps": apps} for (cert, key, ca), apps in credentials.items()
            ],
        }
        for url, credentials in urls.items()
    ]
