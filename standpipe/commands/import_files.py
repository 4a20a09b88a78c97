"""`standpipe store import`: files of log lines, or of envelopes, into the event store of this machine."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from datetime import tzinfo
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import trio
import typer

from standpipe.bar import bar
from standpipe.commands.store import EventsDir, KeyFile
from standpipe.errors import CommandFailed
from standpipe.importing.paths import source_of, why_none
from standpipe.options import DataDir, Json, Tags
from standpipe.printing import print_json, print_table
from standpipe.reading.session import notice
from standpipe.system import EVENTS_DIR, resolve_data_dir
from standpipe.units import count_text
from standpipe.writing.write_envelopes import parse_origin

if TYPE_CHECKING:  # it takes most of a second to import, which no other command should
    from event_store.storage import Store
    from event_store.writer import WriterCounts
    from standpipe.importing.line_times import Times
    from standpipe.importing.run import Imported, Wanted
    from standpipe.importing.streams import Stream

MOST_TOLD = 20
"""As many things that are wrong are told one by one; all are counted."""
_INSTEAD = "stop it first, or send the lines through it: standpipe emit --source ID - < FILE"
_BEGUN = {"LOCK", "segments", "wal", ".MANIFEST.json.new"}
"""What is in the folder of a store that was being made when the disk was full, or at a kill."""


class LogStream(StrEnum):
    """Which stream lines are of."""

    OUT = "out"
    ERR = "err"


class Format(StrEnum):
    """What stands in the files."""

    AUTO = "auto"
    LINES = "lines"
    BATCHES = "batches"
    BATCH = "batch"


def import_files(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE…|-", help="What to import; - is standard input."),
    ],
    source_id: Annotated[
        str | None,
        typer.Option(
            "--source-id",
            metavar="ID",
            help="Who wrote the lines. Default: the file's name, without what "
            "its rotation, compression and kind added; stdin.",
            show_default=False,
        ),
    ] = None,
    instance_id: Annotated[
        str, typer.Option("--instance-id", metavar="ID", help="Which copy of the source wrote the lines.")
    ] = "0",
    tag: Tags = None,
    stream: Annotated[LogStream, typer.Option(help="Which stream the lines are of.")] = LogStream.OUT,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="lines; batches: EnvelopeBatch messages, each behind its length, a varint; "
            "batch: the bytes of one EnvelopeBatch. auto: whatever a file looks like.",
        ),
    ] = Format.AUTO,
    time_format: Annotated[
        str | None,
        typer.Option(metavar="FORM", help="How the time is written in a line, as strptime has it: '%d.%m.%Y %H:%M'."),
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Of times that name none: UTC, Europe/Berlin. Default: here.")
    ] = None,
    year: Annotated[
        int | None,
        typer.Option(min=1970, max=2261, help="Of times that name none. Default: the last that fits to the file's."),
    ] = None,
    join: Annotated[
        bool,
        typer.Option(
            "--join", help="Make one event of a line that says its time, and those behind it that do not: stack traces."
        ),
    ] = False,
    parse_fields: Annotated[bool, typer.Option(help="Parse lines that are JSON or have key=value in them.")] = True,
    skip: Annotated[
        int, typer.Option(min=0, metavar="N", help="Leave out the first N lines, or messages, of the first file.")
    ] = 0,
    compact: Annotated[bool, typer.Option("--compact", help="Join and sort the segments afterwards.")] = False,
    events_dir: EventsDir = None,
    data_dir: DataDir = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Bring log lines and envelopes from files into the event store. The store must not run.

    Files may be compressed: gzip, Zstandard, bzip2, xz. A line's time is read from the line: ISO 8601, syslog, nginx
    and Apache, Android, glog, Hadoop, seconds since 1970, a member or field called time, ts or timestamp. A line that
    says none has that of the line before, or of the file. Bytes that are no UTF-8 are kept, but for text that
    begins as UTF-16 or UTF-32 does; lines over 10 MiB come in pieces. A store is made where there is none.

    Interrupted, it says where it was, and how to go on. Exit code 1: something is not in the store, and was told.

        standpipe store import /var/log/nginx/access.log* --tag host=web-1
        standpipe store import --join --timezone UTC --compact app.log.1.gz app.log
        journalctl -o short-iso | standpipe store import --source-id journal -
    """  # fmt: skip
    from standpipe.importing.batches import Form
    from standpipe.importing.run import Wanted, no_end_untold

    for path in files:
        if why := why_none(path):
            raise typer.BadParameter(why, param_hint=["FILE"])
    origins = {path: parse_origin(source_id or source_of(path), instance_id, tag or []).head for path in files}
    wanted = Wanted(
        head=origins.__getitem__,
        times=_times(time_format, _zone(timezone), year),
        form=None if form is Format.AUTO else Form(form),
        err=stream is LogStream.ERR,
        join=join,
        compact=compact,
    )
    store = _open(events_dir or resolve_data_dir(data_dir) / EVENTS_DIR, key_file)
    with no_end_untold():
        try:
            done, counts = _import(store, wanted, files, skip, parse_fields=parse_fields)
        finally:
            store.close()
        _show(done, counts, as_json=as_json)
        if done.ended_by:
            _tell_how_to_go_on(done, files)
            raise typer.Exit(128 + done.ended_by)
    if done.troubles or done.messages.malformed or counts.unfit:
        raise typer.Exit(1)


def _open(folder: Path, key_file: Path | None) -> Store:
    from event_store.storage import StorageSettings, Store, StoreBusy, StoreDamaged, StoreFull, StoreLocked
    from event_store.storage.manifest import NAME

    if folder.is_dir() and not (folder / NAME).exists() and {path.name for path in folder.iterdir()} - _BEGUN:
        raise CommandFailed(f"there is no store in {folder}, but something else")
    try:
        return Store.open(folder, StorageSettings(key_file=key_file))
    except StoreBusy as error:
        raise CommandFailed(f"{error}: {_INSTEAD}") from error
    except OSError as error:
        raise CommandFailed(f"cannot open the store in {folder}: {error}") from error
    except (StoreDamaged, StoreLocked, StoreFull) as error:
        raise CommandFailed(str(error)) from error


def _import(
    store: Store, wanted: Wanted, files: Sequence[Path], skip: int, *, parse_fields: bool
) -> tuple[Imported, WriterCounts]:
    from event_store.writer import Writer
    from standpipe.importing.run import Import

    writer, told = Writer(store, parse_fields=parse_fields), 0

    def tell(what: str) -> None:
        nonlocal told
        told += 1
        if told <= MOST_TOLD:
            notice(what)

    work = Import(store, wanted, writer, tell)
    with bar() as draw:

        def on_progress(stream: Stream, _: Imported) -> None:
            share = stream.bytes_read / stream.bytes if stream.bytes else None
            draw(share, f"{stream.path.name} {count_text(writer.counts.events)} events")

        trio.run(work.run, files, skip, on_progress)
    if told > MOST_TOLD:
        notice(f"{count_text(told - MOST_TOLD)} more are not told")
    return work.done, writer.counts


def _times(form: str | None, zone: tzinfo | None, year: int | None) -> Callable[[int], Times]:
    from standpipe.importing.given_form import GivenForm
    from standpipe.importing.line_times import LineTimes

    if form is None:
        return partial(LineTimes, zone=zone, year=year)
    try:
        GivenForm(form, 0)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=["--time-format"]) from error
    return partial(GivenForm, form, zone=zone, year=year)


def _zone(name: str | None) -> tzinfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError) as error:  # it is a KeyError that there is none
        raise typer.BadParameter(f"no time zone is called {name!r}", param_hint=["--timezone"]) from error


def _show(done: Imported, counts: WriterCounts, *, as_json: bool) -> None:
    figures = {
        "files": done.files,
        "lines": done.lines.lines,
        "undated": done.lines.undated,
        "cut": done.lines.cut,
        "messages": done.messages.messages,
        "events": counts.events,
        "unfit": counts.unfit + done.messages.malformed,
    }
    if as_json:
        failed = [{"file": str(path), "what": what} for path, what in done.troubles]
        place = {"file": str(done.path), "skip": done.upto} if done.ended_by else None
        print_json({**figures, "seconds": round(done.seconds, 3), "failed": failed, "interrupted": place})
    else:
        print_table((*figures, "seconds"), [(*map(count_text, figures.values()), f"{done.seconds:.1f}")])


def _tell_how_to_go_on(done: Imported, files: Sequence[Path]) -> None:
    assert done.path is not None
    left = [str(path) for path in files[files.index(done.path) :]]
    again = shlex.join(["standpipe", "store", "import", "--skip", str(done.upto), *left])
    notice(f"{done.path} is in the store up to line or message {count_text(done.upto)}; to go on, as before: {again}")
