"""A real rsyslog that forwards to an agent, in each form it has: every line once, in order, with its fields."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import trio

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.config import parse_listen
from plumbing.lifecycle import Ports
from plumbing.tls import TlsFiles
from tests.end_to_end.syslog_programs import rsyslog, serving
from tests.running import dial, in_thread, running
from tests.running_proxy import open_stream, read_envelopes

pytestmark = pytest.mark.slow

LINES = 5000
FORMS = {
    "octets": ("tcp", 'template="RSYSLOG_SyslogProtocol23Format" TCP_Framing="octet-counted"'),
    "lines": ("tcp", 'template="RSYSLOG_TraditionalForwardFormat" TCP_Framing="traditional"'),
    "iso": ("tcp", 'template="RSYSLOG_ForwardFormat" TCP_Framing="octet-counted"'),
    "tls": (
        "tls",
        'template="RSYSLOG_SyslogProtocol23Format" TCP_Framing="octet-counted" StreamDriver="ossl"'
        ' StreamDriverMode="1" StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="metron"',
    ),
}


def forwarding(agent: Ports, form: str, directory: Path, port: int, tls: TlsFiles | None) -> Sequence[str]:
    """Arrange an rsyslogd that takes lines at a port and forwards them to an agent."""
    command = rsyslog(directory, port, None)
    assert tls is not None
    files = {"CAFile": tls.ca, "CertFile": tls.cert, "KeyFile": tls.key}
    door, how = FORMS[form]
    target = parse_listen(agent[f"syslog_{door}"])[1]
    (directory / "rsyslog.conf").write_text(
        f'global(workDirectory="{directory}" '
        + " ".join(f'DefaultNetstreamDriver{name}="{path}"' for name, path in files.items())
        + f')\nmodule(load="imtcp")\ninput(type="imtcp" address="127.0.0.1" port="{port}")\n'
        f'action(type="omfwd" target="127.0.0.1" port="{target}" protocol="tcp" {how})\n'
    )
    return command


@pytest.mark.parametrize("form", FORMS)
async def test_what_rsyslog_forwards_arrives(certs_dir: Path, tmp_path: Path, form: str) -> None:
    doors = {"tcp_listen": "127.0.0.1:0", "tls_listen": "127.0.0.1:0", "timezone": "UTC"}
    sent = [b"<11>1 2026-01-02T03:04:05.25Z web-1 shop 17 - - line %d" % number for number in range(LINES)]
    async with running("doppler", certs_dir, drain_grace_s=1.0) as doppler:
        async with running("metron", certs_dir, doppler_addresses=[doppler["listen"]], syslog=doors) as agent:
            arrange = partial(forwarding, agent, form)
            with dial(doppler["listen"], certs_dir, "doppler") as channel:
                stream = open_stream(channel)
                with serving(arrange, tmp_path / "rsyslog", TlsFiles.named(certs_dir, "client")) as relay:
                    async with await trio.open_tcp_stream("127.0.0.1", relay.port) as to_relay:
                        await to_relay.send_all(b"".join(b"%d %s" % (len(line), line) for line in sent))
                    arrived: list[v2.Envelope] = await in_thread(read_envelopes, stream, LINES)
                stream.cancel()

    assert [each.log.payload.strip() for each in arrived] == [b"line %d" % number for number in range(LINES)]
    assert {(each.source_id, each.instance_id, each.log.type) for each in arrived} == {("shop", "17", v2.Log.ERR)}
    assert {each.tags["hostname"] for each in arrived} == {"web-1"}
    if form != "lines":  # of BSD times nobody knows which year it is, nor the fraction
        assert {each.timestamp for each in arrived} == {1_767_323_045_250_000_000}
