"""`standpipe token`: make, list and revoke the tokens that readers present."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from plumbing.auth import ADMIN, FIREHOSE, SOURCE_READ, TokensError, TokenVerifier
from plumbing.tokens import PRIVATE_KEY_FILE, TokenInfo, TokenStore
from standpipe.errors import CommandFailed
from standpipe.options import DataDir, Json
from standpipe.printing import print_json, print_table
from standpipe.system import TOKENS_DIR, resolve_data_dir

SCOPES = (FIREHOSE, ADMIN, SOURCE_READ)
NEVER = "never"
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def create(
    scope: Annotated[
        list[str] | None, typer.Option(metavar="SCOPE", help=f"What it may do: {', '.join(SCOPES)}. Repeatable.")
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A source whose stream it may read. Repeatable.")
    ] = None,
    name: Annotated[str, typer.Option(metavar="TEXT", help="What it is for, shown in the list.")] = "",
    expires: Annotated[
        str, typer.Option(metavar="DURATION", help=f"How long it is good for: 45m, 24h, 30d, 8w or {NEVER}.")
    ] = "30d",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a token and print it: this is the only time it is shown.

    doppler.firehose may read everything, logs.admin every source's stream, source.read the streams of the sources
    that are named with --source. A running system accepts the token at once.

        standpipe token create --scope doppler.firehose --name nozzle --expires never > nozzle.token
        standpipe token create --source shop --source cart --expires 24h
    """
    scopes, sources = _checked(scope or [], source or [])
    expires_in_s = parse_duration(expires)
    directory = resolve_data_dir(data_dir) / TOKENS_DIR
    key_is_new = not (directory / PRIVATE_KEY_FILE).exists()
    store, now = TokenStore(directory), time.time()
    with _translated():
        token = store.create(scopes=scopes, sources=sources, name=name, expires_in_s=expires_in_s, now=now)
        made = TokenVerifier(directory).verify(token, now).token_id
        info = next(info for info in store.list() if info.id == made)
    if key_is_new:
        sys.stderr.write(f"standpipe: made a new signing key in {directory}; only a system that uses it knows it\n")
    if as_json:
        print_json({"token": token, **_as_object(info)})
    else:
        sys.stdout.write(f"{token}\n")


def list_tokens(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the tokens that were made, the oldest first; what they grant, not the tokens themselves.

    standpipe token list
    standpipe token list --json | jq -r '.[] | select(.revoked | not) | .id'
    """
    with _translated():
        tokens = TokenStore(resolve_data_dir(data_dir) / TOKENS_DIR).list()
    if as_json:
        print_json([_as_object(info) for info in tokens])
    else:
        columns = ("id", "name", "scopes", "sources", "created", "expires", "state")
        print_table(columns, [_as_row(info, time.time()) for info in tokens])


def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The token's id, as `standpipe token list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Make a token worthless; readers that are connected stay until they disconnect.

    standpipe token revoke 5f2b9c41d07ae863
    """
    with _translated():
        info = TokenStore(resolve_data_dir(data_dir) / TOKENS_DIR).revoke(token_id)
    sys.stdout.write(f"revoked {info.id}{f' ({info.name})' if info.name else ''}\n")


def parse_duration(text: str) -> float | None:
    """Read a duration in seconds, None for never; `typer.BadParameter` for what is none."""
    if text == NEVER:
        return None
    match = re.fullmatch(r"(\d{1,9})([smhdw])", text, re.ASCII)
    if match is None or int(match[1]) == 0:
        raise typer.BadParameter(f"{text!r} is no duration like 45m, 24h, 30d or {NEVER}", param_hint=["--expires"])
    return float(int(match[1]) * _UNITS_S[match[2]])


def _checked(scopes: list[str], sources: list[str]) -> tuple[list[str], list[str]]:
    for scope in scopes:
        if scope not in SCOPES:
            raise typer.BadParameter(f"{scope!r} is none of {', '.join(SCOPES)}", param_hint=["--scope"])
    if SOURCE_READ in scopes and not sources:
        raise typer.BadParameter(f"{SOURCE_READ} needs to know which: give --source", param_hint=["--scope"])
    if not scopes and not sources:
        raise typer.BadParameter("a token must grant something: give --scope or --source", param_hint=["--scope"])
    if not all(sources):
        raise typer.BadParameter("a source id must not be empty", param_hint=["--source"])
    return scopes, sources


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except TokensError as error:
        raise CommandFailed(str(error)) from error


def _as_object(info: TokenInfo) -> dict[str, Any]:
    return {
        **info.model_dump(mode="json"),
        "created": _time(info.created),
        "expires": info.expires and _time(info.expires),
    }


def _as_row(info: TokenInfo, now: float) -> tuple[str, ...]:
    expired = info.expires is not None and info.expires <= now
    return (
        info.id,
        info.name,
        " ".join(info.scopes),
        " ".join(info.sources),
        _time(info.created),
        _time(info.expires) if info.expires is not None else NEVER,
        "revoked" if info.revoked else "expired" if expired else "good",
    )


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
