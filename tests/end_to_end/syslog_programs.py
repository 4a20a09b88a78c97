"""Real syslog servers, as Debian ships them: unpacked by tests/debian_programs.sh, started on free ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from plumbing.tls import TlsFiles
from tests.end_to_end.systems import PATIENCE_S, eventually

ROOT = Path(__file__).parents[2] / ".make" / "debian" / "root"
_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/syslog-ng")
SEPARATOR = "\x1f"

Arrange = Callable[[Path, int, TlsFiles | None], Sequence[str]]
"""Write a server's settings for a directory, a port and perhaps TLS; return what to execute."""


class SyslogServer:
    """One that runs: `received` are the fields of each message, as it understood them."""

    def __init__(self, port: int, output: Path) -> None:
        self.port = port
        self._output = output

    def received(self) -> list[tuple[str, ...]]:
        """Return (priority, time, host, app, process, structured data, message) of each so far."""
        if not self._output.exists():
            return []
        lines = self._output.read_text(encoding="utf-8").split("\n")[:-1]
        return [tuple(line.split(SEPARATOR)) for line in lines]


def rsyslog(directory: Path, port: int, tls: TlsFiles | None) -> Sequence[str]:
    """Arrange an rsyslogd that writes what it parsed."""
    fields = ("pri", "timereported:::date-rfc3339", "hostname", "app-name", "procid", "structured-data", "msg")
    template = SEPARATOR.join(f"%{field}%" for field in fields)
    driver = secure = ""
    if tls:
        files = (
            f'CAFile="{tls.ca}" DefaultNetstreamDriverCertFile="{tls.cert}" DefaultNetstreamDriverKeyFile="{tls.key}"'
        )
        driver = f'DefaultNetstreamDriver="ossl" DefaultNetstreamDriver{files}'
        secure = 'StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon"'
    settings = directory / "rsyslog.conf"
    settings.write_text(
        f'global(workDirectory="{directory}" maxMessageSize="1m" {driver})\n'
        f'module(load="imtcp" {secure})\n'
        f'input(type="imtcp" address="127.0.0.1" port="{port}")\n'
        f'template(name="fields" type="string" string="{template}\\n")\n'
        f'action(type="omfile" file="{directory}/output" template="fields")\n'
    )
    (modules,) = (ROOT / "usr/lib").glob("*/rsyslog")
    return [str(ROOT / "usr/sbin/rsyslogd"), "-n", "-f", str(settings), "-i", f"{directory}/pid", "-M", str(modules)]


def syslog_ng(directory: Path, port: int, tls: TlsFiles | None) -> Sequence[str]:
    """Arrange a syslog-ng that writes what it parsed."""
    macros = ("PRI", "ISODATE", "HOST", "PROGRAM", "PID", "SDATA", "MSG")
    template = SEPARATOR.join(f"${{{macro}}}" for macro in macros)
    transport = 'transport("tcp")'
    if tls:
        transport = (
            f'transport("tls") tls(key-file("{tls.key}") cert-file("{tls.cert}") peer-verify(optional-untrusted))'
        )
    settings = directory / "syslog-ng.conf"
    settings.write_text(
        "@version: 3.35\n"
        'options { keep-hostname(yes); frac-digits(6); time-zone("UTC"); stats-freq(0); };\n'
        f'source drains {{ syslog(ip("127.0.0.1") port({port}) {transport}); }};\n'
        f'destination fields {{ file("{directory}/output" template("{template}\\n")); }};\n'
        "log { source(drains); destination(fields); };\n"
    )
    (modules,) = (path.parent for path in (ROOT / "usr/lib/syslog-ng").glob("*/libsyslogformat.so"))
    places = [f"--{name}={directory}/{name}" for name in ("persist-file", "pidfile", "control")]
    return [str(ROOT / "usr/sbin/syslog-ng"), "-F", "-f", str(settings), f"--module-path={modules}", *places]


@contextmanager
def serving(arrange: Arrange, directory: Path, tls: TlsFiles | None = None) -> Iterator[SyslogServer]:
    """Run one on a free port; it is ended, and has written everything, on leaving."""
    directory.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = arrange(directory, port, tls)
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(str(ROOT / each) for each in _LIBRARIES)}
    with (directory / "said").open("wb") as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment)
    try:
        assert eventually(lambda: _listens(port)), (directory / "said").read_text()
        yield SyslogServer(port, directory / "output")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
