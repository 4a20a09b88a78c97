"""Who we are to a sink spoken to over HTTP: read from the files that its settings name, whenever a nozzle opens."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx

from nozzles.http_sink.settings import AUTHORIZATION, HttpSettings
from plumbing.secret_files import read_secret


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a sink is told of us with each request."""

    headers: Mapping[str, str]
    secrets: Sequence[str]
    """What is to be told to nobody else."""
    remedy: str
    """What an operator looks at when the sink does not let us in."""


def read_credentials(settings: HttpSettings) -> Credentials:
    """Read every secret that is named; raises `ConfigError` for a file that cannot be read, or is not private.

    What a file says wins over a user and password in the URL.
    """
    url = httpx.URL(settings.url)
    user, password = url.username, url.password
    if settings.password_file is not None:
        user, password = settings.username, read_secret(settings.password_file)
    headers = {AUTHORIZATION: _basic(user, password)} if user or password else {}
    for setting, header in settings.secret_headers.items():
        if (file := getattr(settings, setting)) is not None:
            headers[header.name] = f"{header.word} {read_secret(file)}".lstrip()
    shown = [*headers.values(), *settings.headers.values()]
    secrets = [password, *shown, *(value.rpartition(" ")[2] for value in shown), *url.params.values()]
    return Credentials(headers, secrets, _remedy(settings, url))


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _remedy(settings: HttpSettings, url: httpx.URL) -> str:
    """Name the settings that say who we are, never what they say."""
    told = [
        name for name in (*settings.secret_headers, "password_file", "headers", "tls_cert") if getattr(settings, name)
    ]
    told += ["url"] if url.userinfo or url.query else []
    if told:
        return f"mend {', '.join(told)}, or what the sink lets us do"
    return f"it is told nothing of us: set {', '.join(settings.secret_headers)}, or username and password_file"
