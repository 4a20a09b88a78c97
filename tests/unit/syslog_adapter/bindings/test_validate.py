from collections.abc import Callable
from pathlib import Path

import pytest

from syslog_adapter.addresses import parse_range
from syslog_adapter.binding import Binding
from syslog_adapter.bindings.validate import REMEMBERED_S, Validator

ADDRESSES = {"good.example": "192.0.2.7", "inside.example": "10.0.0.9", "six.example": "::ffff:10.0.0.9"}
GOOD = Binding(url="syslog://good.example:514", source_id="app")


class Names:
    """A name server."""

    def __init__(self) -> None:
        self.addresses = dict(ADDRESSES)
        self.asked: list[str] = []

    async def resolve(self, name: str) -> list[str]:
        self.asked.append(name)
        if name not in self.addresses:
            raise OSError("no such name")
        return [self.addresses[name]]


def validator(names: Names, now: Callable[[], float] = lambda: 0.0, *ranges: str) -> Validator:
    return Validator(names.resolve, now, [parse_range(each) for each in ranges])


async def reason(url: str, *ranges: str, **fields: str) -> str:
    binding = Binding(url=url, source_id="app", **fields)
    rejected = await validator(Names(), lambda: 0.0, *ranges).rejections([binding])
    return rejected[binding].reason if rejected else ""


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("syslog://good.example:514", ""),
        ("syslog://u:secret@good.example:x", "Cannot parse syslog drain URL."),
        ("ftp://u:secret@good.example?token=secret", "Invalid Scheme for syslog drain url ftp://good.example"),
        ("syslog://?secret", "No hostname found in syslog drain url syslog://"),
        (
            "https://u:secret@none.example/x?secret",
            "Cannot resolve ip address for syslog drain with url https://none.example/x",
        ),
    ],
)
async def test_what_is_wrong_is_said_as_the_original_does(url: str, said: str) -> None:
    assert await reason(url) == said


@pytest.mark.parametrize("host", ["inside.example", "six.example"])
async def test_a_blacklisted_address_is_refused(host: str) -> None:
    said = await reason(f"syslog://{host}:514", "192.168.0.0-192.168.255.255", "10.0.0.0-10.0.0.255")

    assert said == f"Resolved ip address for syslog drain with url syslog://{host}:514 is blacklisted"


async def test_an_address_outside_of_the_blacklist_is_good() -> None:
    assert await reason("syslog://inside.example:514", "10.0.1.0-10.0.1.255") == ""


async def test_a_failure_is_remembered_for_a_while() -> None:
    names, at = Names(), [0.0]
    binding = Binding(url="syslog://late.example:514", source_id="app")
    looking = validator(names, lambda: at[0])
    await looking.rejections([binding])
    names.addresses["late.example"] = "192.0.2.8"

    at[0] = REMEMBERED_S - 1
    again = (await looking.rejections([binding]))[binding]
    assert "due to prior failure" in again.reason
    assert again.is_repeated
    assert again.may_pass
    at[0] = REMEMBERED_S + 1
    assert await looking.rejections([binding]) == {}
    assert names.asked == ["late.example"] * 2


async def test_a_host_of_many_drains_is_looked_up_once() -> None:
    names = Names()

    assert await validator(names).rejections([Binding(url=GOOD.url, source_id=str(n)) for n in range(50)]) == {}
    assert names.asked == ["good.example"]


async def test_a_certificate_must_have_its_key(certs_dir: Path) -> None:
    cert, key = (certs_dir / "nozzle.crt").read_text(), (certs_dir / "nozzle.key").read_text()
    other = (certs_dir / "client.key").read_text()
    url = "syslog-tls://good.example:6514"

    assert await reason(url, cert=cert, key=key) == ""
    assert await reason(url, cert=cert, key=other) == f"failed to load certificate for {url}"
    assert await reason(url, cert=cert) == f"failed to load certificate for {url}"
    assert await reason(url, cert="no", key="no") == f"failed to load certificate for {url}"


async def test_an_authority_must_be_one(certs_dir: Path) -> None:
    url = "syslog-tls://good.example:6514"

    assert await reason(url, ca=(certs_dir / "ca.crt").read_text()) == ""
    assert await reason(url, ca="no") == f"failed to load root ca for {url}"
