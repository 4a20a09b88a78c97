"""`standpipe store ship` and `export`: the events of this machine's store elsewhere, for when it is not enough."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import trio
import typer
from pydantic import ValidationError

from plumbing.config import ConfigError
from plumbing.tls import TlsError
from standpipe.commands.store import EventsDir, KeyFile, damages_of, described, open_reader
from standpipe.errors import CommandFailed
from standpipe.options import DataDir, Json
from standpipe.printing import print_json, print_table
from standpipe.reading.session import notice, run_until_interrupted
from standpipe.units import count_text

if TYPE_CHECKING:  # it takes most of a second to import, which no other command should
    from event_store.clickhouse import Shipper
    from event_store.sealed import Sealed
    from event_store.storage import Damage, Reader


def _option(name: str, metavar: str, about: str) -> Any:
    return typer.Option(name, metavar=metavar, help=about)


Url = Annotated[str, typer.Argument(metavar="URL", help="Where ClickHouse answers: https://clickhouse:8443.")]
Username = Annotated[str | None, _option("--username", "NAME", "The user there.")]
PasswordFile = Annotated[Path | None, _option("--password-file", "FILE", "File of the user's password, mode 0600.")]
Database = Annotated[str | None, _option("--database", "NAME", "The database. Default: default.")]
Table = Annotated[str | None, _option("--table", "NAME", "The table. Default: events.")]
Cluster = Annotated[str | None, _option("--cluster", "NAME", "Make replicated tables, spread over this cluster.")]
Ca = Annotated[Path | None, _option("--ca", "FILE", "PEM file of who signed its certificate, if not known here.")]
Quorum = Annotated[bool, typer.Option("--quorum", help="Have the majority of replicas confirm.")]
Days = Annotated[int | None, _option("--retention-days", "DAYS", "How long ClickHouse keeps events.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")]
Delta = Annotated[
    str, typer.Option("--delta", metavar="DIR|URL", help="The Delta table: a directory, s3://…, gs://… or az://….")
]


def ship(
    url: Url,
    username: Username = None,
    password_file: PasswordFile = None,
    database: Database = None,
    table: Table = None,
    cluster: Cluster = None,
    ca: Ca = None,
    quorum: Quorum = False,
    retention_days: Days = None,
    follow: Follow = False,
    events_dir: EventsDir = None,
    data_dir: DataDir = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Ship the events of this machine's store to ClickHouse: what is in segments, and was not shipped yet.

    The table is made if need be. The store may run meanwhile. Each event arrives once, whatever is interrupted.
    Damaged segments are named, counted and passed over. Exit code 1: there are some.

        standpipe store ship http://127.0.0.1:8123
        standpipe store ship https://clickhouse:8443 --username writer --password-file ch.password --cluster logs -f
    """
    from event_store.clickhouse import TROUBLES, ClickHouseSettings, ShipperBusy, open_shipper

    given = {
        "url": url,
        "username": username,
        "password_file": password_file,
        "database": database,
        "table": table,
        "cluster": cluster,
        "tls_ca": ca,
        "quorum": quorum,
        "retention_days": retention_days,
    }
    try:
        settings = ClickHouseSettings.model_validate({name: one for name, one in given.items() if one is not None})
    except ValidationError as error:
        raise CommandFailed("; ".join(_said(one) for one in error.errors(include_input=False))) from None
    reader = open_reader(events_dir, data_dir, key_file)
    damages = Damages(reader)
    shipped: list[Shipper] = []

    async def work() -> None:
        try:
            async with open_shipper(reader.folder, damages.sealed(), settings) as shipper:
                shipped.append(shipper)
                if follow:
                    await _follow(shipper, damages)
                else:
                    await shipper.ship_all()
        except (*TROUBLES, ConfigError, TlsError, ShipperBusy) as error:
            raise CommandFailed(str(error)) from error

    try:
        run_until_interrupted(work)
    except CommandFailed:
        shipped.clear()
        raise
    finally:
        for progress in (shipper.progress for shipper in shipped):
            figures = {"shipped": progress.events, "missing": progress.missing, "next": progress.next}
            _show(figures, damages.all(), as_json=as_json)
    if damages.all():
        raise typer.Exit(1)


class Damages:
    """The segments of a store that are passed over, as nobody can read them; told as they are found."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._found: dict[str, Damage] = {}

    def sealed(self) -> Sealed:
        """Return what reads the segments, but for those."""
        from event_store.sealed import Sealed

        return Sealed(self._reader.folder, self._reader.snapshot, self._suspects)

    def all(self) -> list[Damage]:
        """Return them, those included that the store's reader passed over by itself."""
        self._tell(self._reader.damages)
        return [*self._found.values()]

    def _suspects(self, files: Collection[str]) -> list[Damage]:
        damaged, _ = damages_of([one for one in self._reader.snapshot().segments if one.file in files], self._reader)
        self._tell(damaged)
        return damaged

    def _tell(self, damages: Iterable[Damage]) -> None:
        for damage in damages:
            if damage.file not in self._found:
                self._found[damage.file] = damage
                events = count_text(damage.events or 0)
                notice(f"{damage.file} is damaged, and passed over: {damage.what} (events: {events})")


async def _follow(shipper: Shipper, damages: Damages) -> None:
    """Ship for ever, and tell of trouble as it comes."""
    told = ""
    while True:
        wait_s = await shipper.look()
        damages.all()
        if shipper.trouble not in ("", told):
            notice(f"{shipper.trouble}; trying again")
        told = shipper.trouble
        await trio.sleep(wait_s)


def export(
    delta: Delta,
    events_dir: EventsDir = None,
    data_dir: DataDir = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Append the events of this machine's store to a Delta table: what is in segments, and is not in it yet.

    Spark, Trino, DuckDB, Polars and ClickHouse read it. The store may run meanwhile; done again, it adds what is new.
    Damaged segments are named, counted and passed over. Exit code 1: there are some. Credentials of an object store are
    taken from the environment, as AWS_ACCESS_KEY_ID and others.

        standpipe store export --delta /var/lake/events
        standpipe store export --delta s3://lake/events
    """
    from event_store.delta import DeltaFailed, DeltaMissing
    from event_store.delta import export as append
    from event_store.storage import StoreDamaged, StoreLocked, StoreMissing
    from event_store.storage.errors import SegmentDamaged

    damages = Damages(open_reader(events_dir, data_dir, key_file))
    try:
        done = append(damages.sealed(), delta)
    except (DeltaFailed, DeltaMissing, StoreDamaged, StoreLocked, StoreMissing, SegmentDamaged, OSError) as error:
        raise CommandFailed(str(error)) from error
    figures = {"exported": done.events, "commits": done.commits, "version": done.version}
    _show(figures, damages.all(), as_json=as_json)
    if damages.all():
        raise typer.Exit(1)


def _show(figures: Mapping[str, int | None], damages: list[Damage], *, as_json: bool) -> None:
    if as_json:
        print_json({**figures, "damaged": [described(each) for each in damages]})
    else:
        row = [("-" if figure is None else count_text(figure)) for figure in (*figures.values(), len(damages))]
        print_table((*figures, "damaged"), [row])


def _said(error: Any) -> str:
    where = ".".join(map(str, error["loc"]))
    return f"{where}: {error['msg'].removeprefix('Value error, ')}".removeprefix(": ")
