import pytest

from syslog_adapter.addresses import ANY_ADDRESS, Addresses, parse_range, resolve_host

INSIDE = [parse_range("10.0.0.0-10.0.0.255"), parse_range("fd00::-fd00::ffff")]


def names(*found: str) -> Addresses:
    async def resolve(_: str) -> list[str]:
        return [*found]

    return Addresses(INSIDE, resolve)


@pytest.mark.parametrize("text", ["10.0.0.9", "::ffff:10.0.0.9", "fd00::1", "fd00::1%eth0"])
def test_an_address_is_forbidden_however_it_is_written(text: str) -> None:
    assert Addresses(INSIDE).are_forbidden(["192.0.2.7", text])
    assert not ANY_ADDRESS.are_forbidden([text])


def test_a_range_may_be_written_as_ipv6_too() -> None:
    mapped = Addresses([parse_range("::ffff:10.0.0.0-::ffff:10.0.0.255")])

    assert mapped.are_forbidden(["10.0.0.9"])
    assert mapped.are_forbidden(["::ffff:10.0.0.9"])
    assert not mapped.are_forbidden(["10.0.1.9", "::a00:9"])


@pytest.mark.parametrize("text", ["0.0.0.0", "::", "::ffff:0.0.0.0"])
def test_what_leads_to_this_machine_is_this_machine(text: str) -> None:
    blacklist = [parse_range("127.0.0.0-127.255.255.255"), parse_range("::1-::1")]

    assert Addresses(blacklist).are_forbidden([text])
    assert not Addresses(INSIDE).are_forbidden([text])
    assert Addresses([parse_range("0.0.0.0-0.0.0.0"), parse_range("::-::")]).are_forbidden([text])


async def test_a_host_has_each_address_once() -> None:
    assert await names("192.0.2.7", "192.0.2.8", "192.0.2.7").of("host") == ("192.0.2.7", "192.0.2.8")


async def test_a_host_with_a_forbidden_address_has_none() -> None:
    with pytest.raises(OSError, match="blacklisted"):
        await names("192.0.2.7", "10.0.0.9").of("host")
    with pytest.raises(OSError, match="no address"):
        await names().of("host")


async def test_the_system_knows_addresses_as_they_are() -> None:
    assert await resolve_host("127.0.0.1") == ["127.0.0.1"]


def test_a_range_has_a_start_and_an_end() -> None:
    first, last = range_of = parse_range("10.0.0.1-10.0.0.9")

    assert isinstance(range_of, tuple)
    assert int(last) - int(first) == 8


@pytest.mark.parametrize("text", ["10.0.0.1", "10.0.0.9-10.0.0.1", "10.0.0.1-::1", "a-b"])
def test_other_ranges_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_range(text)
