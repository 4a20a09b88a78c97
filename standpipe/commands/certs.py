"""`standpipe certs`: make, renew and show the certificates of an installation."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509

from plumbing.certs import LEAVES, CertsError, make_certs
from plumbing.pem import PemError, read_certificates
from standpipe.errors import CommandFailed
from standpipe.options import DataDir, Json
from standpipe.printing import print_json, print_table
from standpipe.system import CERTS_DIR, ENDPOINTS_FILE, resolve_data_dir


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is worth knowing of one certificate."""

    name: str
    sans: tuple[str, ...]
    expires: str
    made: str
    """Why it was made just now; empty if it was there already."""


def certs(
    renew: Annotated[bool, typer.Option("--renew", help="Make every certificate but the CA's anew.")] = False,
    san: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|IP", help="A further name that every certificate answers to. Repeatable."),
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make the certificates that are missing or about to expire, and show all of them.

    `standpipe up` does the same at its start. Keys are kept; a component uses a new certificate from its next start.

        standpipe certs
        standpipe certs --renew
        standpipe certs --san logs.example.com --san 192.0.2.7
    """
    directory = resolve_data_dir(data_dir)
    try:
        issued = make_certs(directory / CERTS_DIR, now=datetime.now(UTC), renew=renew, extra_sans=san or [])
        made = {each.name: each.reason for each in issued}
        shown = [show(name, directory / CERTS_DIR / f"{name}.crt", made.get(name, "")) for name in ("ca", *LEAVES)]
    except (CertsError, PemError) as error:
        raise CommandFailed(str(error)) from error
    if as_json:
        print_json([asdict(each) for each in shown])
    else:
        print_table(("name", "answers to", "expires", "made just now"), _rows(shown))
    if made and (directory / ENDPOINTS_FILE).exists():
        sys.stderr.write("standpipe: what is running uses its new certificates after its next start\n")


def show(name: str, path: Path, made: str) -> Shown:
    """Read one certificate."""
    certificate = read_certificates(path)[0]
    return Shown(
        name=name,
        sans=tuple(_sans(certificate)),
        expires=certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        made=made,
    )


def _sans(certificate: x509.Certificate) -> Iterable[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]


def _rows(shown: Iterable[Shown]) -> Iterable[tuple[str, ...]]:
    return [(each.name, " ".join(each.sans), each.expires, each.made) for each in shown]
