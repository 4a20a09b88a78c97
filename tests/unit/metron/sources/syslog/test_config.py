"""What is wrong in the settings of the receiver is said before it starts."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from metron import Config
from metron.sources import SyslogReceiver
from plumbing.tls import TlsFiles

AGENT = TlsFiles(ca=Path("ca"), cert=Path("cert"), key=Path("key"))


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"timezone": "Europe/Nowhere"}, "no time zone"),
        ({"timezone": "../../etc/passwd"}, "no time zone"),
        ({"tls_cert": "c"}, "tls_cert and tls_key"),
        ({"tls_key": "k"}, "tls_cert and tls_key"),
        ({"tcp_listen": "6514"}, "host:port"),
        ({"max_message_bytes": 100}, "480"),
        ({"port": 514}, "port"),
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        SyslogReceiver(**settings)


def test_it_is_off_unless_an_address_is_given() -> None:
    settings = Config(tls_ca=AGENT.ca, tls_cert=AGENT.cert, tls_key=AGENT.key).syslog

    assert (settings.tls_listen, settings.tcp_listen, settings.udp_listen) == (None, None, None)


def test_over_tls_it_is_the_agent_unless_it_has_files_of_its_own() -> None:
    own = SyslogReceiver(tls_cert=Path("c"), tls_key=Path("k"), tls_client_ca=Path("a"))

    assert SyslogReceiver().tls_files(AGENT) == AGENT
    assert own.tls_files(AGENT) == TlsFiles(ca=Path("a"), cert=Path("c"), key=Path("k"))
