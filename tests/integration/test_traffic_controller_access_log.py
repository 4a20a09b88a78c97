"""The access log of a traffic controller."""

import stat
from pathlib import Path

from tests.running_controller import open_controller


async def test_each_request_is_a_line_in_the_access_log(certs_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    async with open_controller(certs_dir, tmp_path, security_event_log=file) as controller:
        await controller.ask("/firehose/s?filter-type=logs&token=secret", "X-Vcap-Request-ID: id-1", token="secret")
        await controller.ask("/nothing|x", "X-Forwarded-For: 1.2.3.4:5, 6.7.8.9", "Cookie: authorization=secret")
        await controller.send(b"no request\r\n\r\n")
        port = controller.ports["listen"].rpartition(":")[2]

    first, second = file.read_text().splitlines()
    assert first.startswith(
        "CEF:0|cloud_foundry|loggregator_trafficcontroller|1.0|GET /firehose/s?filter-type=logs|GET "
    )
    assert " cs1=oauth-access-token cs2Label=vcapRequestId cs2=id-1 " in first
    assert " src=127.0.0.1 spt=" in first
    assert first.endswith(f" dst=127.0.0.1 dpt={port}")
    assert r"|GET /nothing\|x|" in second
    assert " src=1.2.3.4 spt=5 " in second
    assert "secret" not in first + second
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
