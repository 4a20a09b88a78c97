from pathlib import Path

import pytest

from syslog_adapter.drain_url import BadDrain, parse_drain_url
from syslog_adapter.writers import WriterSettings, open_writer
from syslog_adapter.writers.https import HttpsWriter
from syslog_adapter.writers.https_batch import HttpsBatchWriter
from syslog_adapter.writers.tcp import TcpWriter
from tests.unit.syslog_adapter.writers.drains import binding


@pytest.mark.parametrize(
    ("scheme", "kind"),
    [("syslog", TcpWriter), ("syslog-tls", TcpWriter), ("https", HttpsWriter), ("https-batch", HttpsBatchWriter)],
)
async def test_each_scheme_has_its_writer(scheme: str, kind: type, certs_dir: Path) -> None:
    async with open_writer(parse_drain_url(f"{scheme}://drain"), binding(certs_dir), WriterSettings()) as writer:
        assert type(writer) is kind


async def test_certificates_that_cannot_be_used_are_told_at_once() -> None:
    with pytest.raises(BadDrain, match="CA"):
        async with open_writer(parse_drain_url("https://drain"), binding(ca="x"), WriterSettings()):
            pass
