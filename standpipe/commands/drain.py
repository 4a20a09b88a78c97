"""`standpipe drain`: bind sources to drains, and see how the drains fare."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import httpx
import trio
import typer

from envelope import kernel
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch, Log
from plumbing.tls import client_context
from standpipe.errors import CommandFailed, NotRunning
from standpipe.options import DataDir, Json
from standpipe.printing import print_json, print_table
from standpipe.system import System, resolve_data_dir
from syslog_adapter.binding import Binding
from syslog_adapter.bindings.store import DrainStore, StoreError
from syslog_adapter.bindings.validate import check_pems
from syslog_adapter.drain_url import BadDrain, parse_drain_url, redacted
from syslog_adapter.writers import DrainUnavailable, WriterSettings, Written, open_writer

EVERYBODY = "*"
_PORT = ".cache"
_CACHE = f"syslog_adapter{_PORT}"
_ANSWER_S = 10.0
_TEST_S = 30.0

Url = Annotated[
    str, typer.Argument(metavar="URL", help="syslog://, syslog-tls://, https:// or https-batch://, with its options.")
]
SourceId = Annotated[
    str, typer.Argument(metavar="SOURCE", help=f"Whose envelopes: a source_id, or {EVERYBODY} for everybody's.")
]


Hostname = Annotated[str, typer.Option("--hostname", metavar="NAME", help="HOST of the messages.")]


def _pem(name: str, meaning: str) -> Any:
    return typer.Option(name, metavar="FILE", dir_okay=False, exists=True, help=f"PEM file of {meaning}.")


Ca = Annotated[Path | None, _pem("--ca", "who may sign the drain's certificate, besides those this machine trusts")]
Cert = Annotated[Path | None, _pem("--cert", "the certificate that the drain is shown, with --key")]
Key = Annotated[Path | None, _pem("--key", "its private key")]


def add(
    source: SourceId,
    url: Url,
    hostname: Hostname = "",
    data_dir: DataDir = None,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
) -> None:
    """Bind a source to a drain: a running adapter delivers to it within seconds.

    standpipe drain add shop syslog-tls://logs.example:6514
    standpipe drain add shop syslog-tls://logs.example:6514 --ca ca.pem --cert shop.pem --key shop.key
    standpipe drain add '*' 'https://logs.example/in?drain-data=all&exclude=healthz'
    """
    binding = _binding(_source_id(source), url, hostname, ca, cert, key)
    with _translated():
        is_new = DrainStore(resolve_data_dir(data_dir)).add(binding)
    sys.stdout.write(f"{'bound' if is_new else 'is bound already:'} {source} to {redacted(url)}\n")


def list_drains(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List what was bound here; URLs are shown without credentials and options.

    standpipe drain list
    """
    with _translated():
        bindings = DrainStore(resolve_data_dir(data_dir)).list()
    rows = [(each.source_id or EVERYBODY, redacted(each.url), each.hostname) for each in bindings]
    if as_json:
        print_json([dict(zip(("source_id", "url", "hostname"), row, strict=True)) for row in rows])
    else:
        print_table(("source", "url", "hostname"), rows)


def remove(
    source: SourceId,
    url: Annotated[
        str | None, typer.Argument(metavar="URL", help="Which one, in full or as listed. Default: all of the source.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Unbind one drain of a source, or all of them; what waits is still delivered.

    standpipe drain remove shop syslog-tls://logs.example:6514
    """
    store, source_id = DrainStore(resolve_data_dir(data_dir)), _source_id(source)
    with _translated():
        bound = [each for each in store.list() if each.source_id == source_id]
        urls = {each.url for each in bound if url in (None, each.url, redacted(each.url))}
        gone = [each for one in sorted(urls) for each in store.remove(source_id, one)]
    if not gone:
        raise CommandFailed(f"{source} is bound to no {'drain' if url is None else redacted(url)}")
    for each in gone:
        sys.stdout.write(f"unbound {source} from {redacted(each.url)}\n")


def status(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show how the drains fare, at each adapter that runs: they share the work of all drains.

    standpipe drain status
    """
    system = System.find(data_dir)
    drains = [
        {"adapter": name.removesuffix(_PORT), **drain} for name in system.all_of(_CACHE) for drain in _ask(system, name)
    ]
    if as_json:
        print_json(drains)
        return
    columns = (
        "adapter",
        "source_id",
        "url",
        "state",
        "sent",
        "held",
        "on_disk",
        "lag_s",
        "lost",
        "retried",
        "last_error",
    )
    rows = [{**drain, "source_id": drain["source_id"] or EVERYBODY} for drain in drains]
    print_table(columns, [[str(row[column]) for column in columns] for row in rows])


def send_test(
    url: Url,
    source: Annotated[str, typer.Option("--source", metavar="ID", help="Whose message it is.")] = "standpipe",
    hostname: Hostname = "",
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
) -> None:
    """Send one test message from here, and say what happened.

    standpipe drain test syslog://127.0.0.1:514
    standpipe drain test syslog-tls://logs.example:6514 --ca ca.pem
    """
    binding = _binding(source, url, hostname, ca, cert, key)
    try:
        written = trio.run(partial(_send_one, binding))
    except BadDrain as error:
        raise CommandFailed(str(error)) from error
    except trio.TooSlowError as error:
        raise NotRunning(f"{redacted(url)} did not take it within {_TEST_S:g} s") from error
    if isinstance(written, DrainUnavailable):
        raise NotRunning(f"{redacted(url)} does not take it: {written}") from written
    if written.skipped:
        raise CommandFailed(f"{redacted(url)} asks for no log lines: nothing was sent")
    sys.stdout.write(f"sent one message to {redacted(url)}\n")


def _test_batch(binding: Binding) -> bytes:
    line = Envelope(
        timestamp=time.time_ns(),
        source_id=binding.source_id,
        instance_id="0",
        tags={"source_type": "TEST"},
        log=Log(payload=b"a test message of standpipe"),
    )
    return EnvelopeBatch(batch=[line]).SerializeToString()


async def _send_one(binding: Binding) -> Written | DrainUnavailable:
    batch = _test_batch(binding)
    with trio.fail_after(_TEST_S):
        async with open_writer(parse_drain_url(binding.url), binding, WriterSettings()) as writer:
            try:
                return await writer.write(batch)
            except DrainUnavailable as error:
                return error  # raised here, it would come in a group


def _ask(system: System, cache: str) -> list[dict[str, Any]]:
    files = system.tls()
    trusting = client_context(files.ca, files.cert, files.key)
    url = f"https://{system.address(cache)}/v2/drains"
    extensions = {"sni_hostname": system.server_name(cache)}
    try:
        with httpx.Client(verify=trusting, timeout=_ANSWER_S, trust_env=False) as client:
            response = client.get(url, extensions=extensions).raise_for_status()
            drains: list[dict[str, Any]] = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise system.unreachable(cache, error) from error
    return drains


def _binding(source_id: str, url: str, hostname: str, ca: Path | None, cert: Path | None, key: Path | None) -> Binding:
    """Make a binding that an adapter takes, and whose messages have a form."""
    texts = {name: _text_of(path) for name, path in (("ca", ca), ("cert", cert), ("key", key))}
    binding = Binding(url=url, source_id=source_id, hostname=hostname, **texts)
    try:
        parse_drain_url(url)
        check_pems(binding)
    except BadDrain as error:
        raise typer.BadParameter(str(error), param_hint=["URL"]) from error
    *_, malformed = kernel.syslog(_test_batch(binding), hostname.encode(), int(Kind.LOG), True, octets=True)
    if malformed:
        raise typer.BadParameter("SOURCE and --hostname stand in each message: printable ASCII, and no spaces")
    return binding


def _text_of(path: Path | None) -> str:
    try:
        return path.read_text("ascii") if path else ""
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{path}: {getattr(error, 'strerror', None) or 'not PEM'}") from error


def _source_id(source: str) -> str:
    if not source:
        raise typer.BadParameter(f"a source id must not be empty; {EVERYBODY} is everybody", param_hint=["SOURCE"])
    return "" if source == EVERYBODY else source


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise CommandFailed(str(error)) from error
