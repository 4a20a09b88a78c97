"""`standpipe up`: start everything, keep it running, stop it in order."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import trio
import typer

from plumbing.logs import set_up_logs
from plumbing.setting_sources import ConfigError
from standpipe.options import DataDir
from standpipe.supervisor.child import Child
from standpipe.supervisor.data_dir import announce, claim, furnish, withdraw
from standpipe.supervisor.plan import Plan, make_plan
from standpipe.supervisor.rates import Meter
from standpipe.supervisor.screen import Screen
from standpipe.supervisor.settings import load_up, told_components
from standpipe.supervisor.supervisor import Supervisor, open_supervisor, start_all
from standpipe.supervisor.will import Will
from standpipe.system import resolve_data_dir

_RATES_EVERY_S = 1.0

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        dir_okay=False,
        exists=True,
        help="TOML file with a table for each component, and \\[standpipe] for the options below.",
    ),
]


def up(
    data_dir: DataDir = None,
    config: Config = None,
    ports: Annotated[
        str | None,
        typer.Option(
            envvar="STANDPIPE_PORTS",
            metavar="default|auto",
            help="Where to listen: as in the manual, or anywhere free.",
        ),
    ] = None,
    dopplers: Annotated[
        int | None, typer.Option(envvar="STANDPIPE_DOPPLERS", metavar="N", help="How many Dopplers. Default: 2.")
    ] = None,
    log_caches: Annotated[
        int | None,
        typer.Option(envvar="STANDPIPE_LOG_CACHES", metavar="N", help="How many nodes of the log cache. Default: 1."),
    ] = None,
    syslog_adapters: Annotated[
        int | None,
        typer.Option(envvar="STANDPIPE_SYSLOG_ADAPTERS", metavar="N", help="How many syslog adapters. Default: 1."),
    ] = None,
    event_store: Annotated[
        bool | None,
        typer.Option(
            "--event-store/--no-event-store",
            envvar="STANDPIPE_EVENT_STORE",
            help="Whether everything is kept in an event store. Default: it is.",
            show_default=False,
        ),
    ] = None,
    auth: Annotated[
        str | None,
        typer.Option(
            metavar="local|uaa|open",
            help="Who decides what a token is good for; the UAA is set up in \\[standpipe.auth]. Default: local.",
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Start just these: doppler, doppler-0, metron, traffic_controller, reverse_log_proxy, log_cache, "
            "syslog_adapter, nozzles, nozzles.NAME, event_store.",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Show no table and no rates; logs go to stderr as ever.")
    ] = False,
) -> None:
    """Start everything on this machine, and keep it running until Ctrl-C or SIGTERM.

    Makes the data directory, with certificates and an administrator's token, if there is none. A component that dies
    is started again. The first Ctrl-C lets everything drain, for 8 seconds at most; the second ends it on the spot.

        standpipe up
        standpipe up --config standpipe.toml --dopplers 4
    """
    directory = resolve_data_dir(data_dir)
    names = None if only is None else [name.strip() for name in only.split(",") if name.strip()]
    flags = {
        "ports": ports,
        "dopplers": dopplers,
        "log_caches": log_caches,
        "syslog_adapters": syslog_adapters,
        "event_store": event_store,
        "only": names,
        "auth.mode": auth,
    }
    try:
        plan = make_plan(load_up(config, flags), told_components(config, os.environ), directory, config)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error
    screen = Screen(quiet=quiet)
    set_up_logs("up", stream=screen.log_stream)
    raise typer.Exit(trio.run(_up, plan, directory, screen))


async def _up(plan: Plan, data_dir: Path, screen: Screen) -> int:
    will = Will()
    with will.heard(), will.running:
        async with claim(data_dir) as lock:
            furnish(data_dir)
            return await _run(plan, data_dir, screen, will, lock)
    return will.exit_code(0)


async def _run(plan: Plan, data_dir: Path, screen: Screen, will: Will, lock: int) -> int:
    meter = Meter()
    async with open_supervisor(
        data_dir, pass_on=screen.pass_on, heard=partial(_note, meter), keepsakes=[lock]
    ) as supervisor:
        with will.starting:
            await start_all(supervisor, plan)
        await _show(supervisor, meter, data_dir, screen, will.stop)
    return 0 if all(child.ended_cleanly for child in supervisor.children) else 1


async def _show(supervisor: Supervisor, meter: Meter, data_dir: Path, screen: Screen, stop: trio.Event) -> None:
    """Say where everything listens, and how it goes, until `stop` is set."""
    if stop.is_set():
        return
    announce(data_dir, supervisor.endpoints)
    try:
        screen.ready(supervisor.children, data_dir)
        with screen.status_line():
            while not stop.is_set():
                now = trio.current_time()
                screen.rates(meter.rates(now), now)
                with trio.move_on_at(now + _RATES_EVERY_S):
                    await stop.wait()
    finally:
        withdraw(data_dir)


def _note(meter: Meter, child: Child) -> None:
    if child.book is not None:
        meter.note(child.name, child.component.room.name, child.book)
