"""The options that several commands share, so that each means the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_WHERE = "Another system"

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="STANDPIPE_DATA_DIR",
        file_okay=False,
        metavar="DIR",
        help="Where the running system keeps its endpoints, certificates and tokens. "
        "Default: $XDG_DATA_HOME/standpipe, else ~/.local/share/standpipe.",
    ),
]

Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        rich_help_panel=_WHERE,
        help="Talk to this address instead of looking it up in the data directory.",
    ),
]

Ca = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        metavar="FILE",
        rich_help_panel=_WHERE,
        help="PEM file of the authority that signed the server's certificate. With it, nothing secret is taken from "
        "the data directory: give --token, or --cert and --key, too.",
    ),
]

Cert = Annotated[
    Path | None,
    typer.Option(
        "--cert", metavar="FILE", rich_help_panel=_WHERE, help="PEM file of the certificate to show. Needs --key."
    ),
]

Key = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", rich_help_panel=_WHERE, help="PEM file of the private key of --cert."),
]

Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="FILE|TOKEN",
        rich_help_panel=_WHERE,
        help="A file that holds the token to present, or the token itself. A file is better: everybody on this "
        "machine can see a command line. Default: the administrator's token in the data directory.",
    ),
]

Source = Annotated[
    str, typer.Option("--source", metavar="ID", help="Who sends: the source_id of the envelopes.", show_default=False)
]

Instance = Annotated[str, typer.Option("--instance", metavar="ID", help="Which copy of the source sends.")]

Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="Tag every envelope with this. Repeatable.")
]

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
