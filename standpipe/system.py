"""Find the running system: where its components listen, and what to show them.

A data directory says everything (`standpipe up` keeps it); the options `--address`, `--ca`, `--cert`, `--key` and
`--token` each take the place of one thing in it, so that a system elsewhere can be reached without one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import typer

from plumbing.certs import LEAF_OF
from plumbing.config import parse_listen
from plumbing.tls import TlsError, TlsFiles, check_files
from standpipe.errors import CommandFailed, NotRunning

ENDPOINTS_FILE = "endpoints.json"
CERTS_DIR = "certs"
TOKENS_DIR = "tokens"
EVENTS_DIR = "events"
ADMIN_TOKEN = "admin"  # noqa: S105 - a file's name


def resolve_data_dir(given: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the data directory: what was given, else what the environment or the XDG convention says."""
    if given is not None:
        return given.expanduser().absolute()
    if named := environ.get("STANDPIPE_DATA_DIR"):
        return Path(named).expanduser().absolute()
    base = Path(environ.get("XDG_DATA_HOME") or "relative")
    return (base if base.is_absolute() else Path.home() / ".local" / "share") / "standpipe"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A system that is said to be running: nothing here has been dialled yet."""

    data_dir: Path
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Name → `host:port`, from the data directory; empty when an address was given instead."""

    given_address: str | None = None
    given_ca: Path | None = None
    given_cert: Path | None = None
    given_key: Path | None = None
    given_token: str | None = None

    @classmethod
    def find(
        cls,
        data_dir: Path | None = None,
        *,
        address: str | None = None,
        ca: Path | None = None,
        cert: Path | None = None,
        key: Path | None = None,
        token: str | None = None,
    ) -> System:
        """Find the system of a data directory, or the one at `address`.

        Raises `NotRunning` when the directory knows of none, `typer.BadParameter` for options that make no sense.
        """
        if address is not None:
            _check_address(address)
        if (cert is None) != (key is None):
            raise typer.BadParameter("give both or neither", param_hint=["--cert", "--key"])
        directory = resolve_data_dir(data_dir)
        return cls(
            data_dir=directory,
            endpoints={} if address is not None else read_endpoints(directory),
            given_address=address,
            given_ca=ca,
            given_cert=cert,
            given_key=key,
            given_token=token,
        )

    def address(self, name: str) -> str:
        """Return where a component listens, the first of those that are numbered if none of them is asked for.

        An address that was given stands for whichever is asked for.
        """
        if self.given_address is not None:
            return self.given_address
        for endpoint, address in self.endpoints.items():
            if name in (endpoint, _of_any_number(endpoint)):
                return address
        raise NotRunning(f"no {name} is running at {self.data_dir}: {ENDPOINTS_FILE} does not name it")

    def all_of(self, name: str) -> list[str]:
        """Name all that are there of those that are numbered, in order; raises `NotRunning` when there is none."""
        self.address(name)
        return [endpoint for endpoint in self.endpoints if name in (endpoint, _of_any_number(endpoint))] or [name]

    def server_name(self, name: str) -> str:
        """Return the name that the certificate of a component must carry: ours by its kind, another's by its host."""
        if self.given_ca is not None and self.given_address is not None:
            return parse_listen(self.given_address)[0]
        kind = _of_any_number(name).partition(".")[0]  # what follows names one of its ports
        return LEAF_OF.get(kind, kind)

    @property
    def ca(self) -> Path:
        """The authority whose signature a server's certificate must carry."""
        return self.given_ca or self.data_dir / CERTS_DIR / "ca.crt"

    def tls(self) -> TlsFiles:
        """Return what a client of the components' mTLS ports shows and trusts; every file has been looked at."""
        own = TlsFiles.named(self.data_dir / CERTS_DIR, "client")
        if self.given_cert is not None and self.given_key is not None:
            files = TlsFiles(ca=self.ca, cert=self.given_cert, key=self.given_key)
        elif self.given_ca is not None:
            raise typer.BadParameter("this needs a client certificate too: give --cert and --key", param_hint=["--ca"])
        else:
            files = own
        try:
            check_files(files)
        except TlsError as error:
            lost = self.given_address is not None and self.given_ca is None
            raise CommandFailed(f"{error}{'; give --ca, --cert and --key' if lost else ''}") from error
        return files

    def token(self) -> str:
        """Return the token to present, without `bearer`."""
        if self.given_token is not None:
            return _token_given(self.given_token)
        if self.given_ca is not None:
            raise typer.BadParameter(
                "the token of the data directory is not shown to a system of another authority: give --token",
                param_hint=["--ca"],
            )
        return _token_in(self.data_dir / TOKENS_DIR / ADMIN_TOKEN)

    def unreachable(self, name: str, reason: object) -> NotRunning:
        """Make the error for a component that should be there and does not answer."""
        message = f"{name} at {self.address(name)} does not answer: {_one_line(reason)}"
        if self.given_address is None:
            message += f" ({self.data_dir / ENDPOINTS_FILE} may be of a system that was killed)"
        return NotRunning(message)


def read_endpoints(data_dir: Path) -> dict[str, str]:
    """Read where the components of a data directory listen; `NotRunning` if nothing is running there."""
    path = data_dir / ENDPOINTS_FILE
    try:
        endpoints = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise NotRunning(
            f"nothing is running at {data_dir}: no {ENDPOINTS_FILE} (start it with `standpipe up`)"
        ) from None
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise CommandFailed(f"{path}: not JSON: {error}") from error
    if not isinstance(endpoints, dict) or not all(isinstance(address, str) for address in endpoints.values()):
        raise CommandFailed(f"{path}: not an object of names and addresses")
    return endpoints


def _of_any_number(endpoint: str) -> str:
    """Return `doppler.admin` for `doppler-1.admin`."""
    return re.sub(r"-\d+(?=\.|$)", "", endpoint, count=1)


def _check_address(address: str) -> None:
    try:
        _, port = parse_listen(address)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=["--address"]) from error
    if port == 0:
        raise typer.BadParameter(f"{address!r} has no port", param_hint=["--address"])


def _token_given(text: str) -> str:
    """Tell a file from a token: a token has no slash in it, and is not the name of a file that is here."""
    if "/" in text or (len(text) < 256 and Path(text).is_file()):
        return _token_in(Path(text).expanduser())
    return _bare_token(text, "--token")


def _token_in(path: Path) -> str:
    try:
        text = path.read_bytes().decode("ascii", "replace")
    except OSError as error:
        raise CommandFailed(f"{path}: cannot read the token: {error.strerror or error}") from error
    return _bare_token(text, str(path))


def _bare_token(text: str, origin: str) -> str:
    token = text.strip()
    if token[:7].lower() == "bearer ":
        token = token[7:].strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise CommandFailed(f"{origin}: not a token")
    return token


def _one_line(reason: object) -> str:
    return " ".join(str(reason).split())
