from __future__ import annotations

import pytest

from rowel.core.errors import Invalid, NodeFailed
from rowel.nodes.clients.addresses import Addresses, is_public, look_up_name


def leads_to(*addresses: str):
    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolve


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "169.254.170.2",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "198.18.0.1",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::1",
        "2002:a00:1::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "100::1",
        "nonsense",
        "",
    ],
)
def test_an_address_inside_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::1"]
)
def test_an_address_on_the_open_internet_is_public(address):
    assert is_public(address)


async def test_a_public_host_is_reached_at_the_addresses_that_were_checked():
    addresses = Addresses(resolve=leads_to("1.1.1.1", "2606:4700::1111"))

    assert await addresses.reachable("example.com", 443) == ["1.1.1.1", "2606:4700::1111"]


async def test_one_private_address_among_public_ones_is_enough_to_refuse():
    addresses = Addresses(resolve=leads_to("1.1.1.1", "10.0.0.1"))

    with pytest.raises(NodeFailed, match=r"ROWEL_HTTP_ALLOW=example\.com:80") as refused:
        await addresses.reachable("example.com", 80)

    assert not refused.value.retryable
    assert "10.0.0.1" not in refused.value.message


@pytest.mark.parametrize("asked", ["intranet.example", "INTRANET.example", "intranet.example."])
async def test_an_allowed_host_is_reached_wherever_it_leads(asked):
    addresses = Addresses(["Intranet.example:8080"], leads_to("10.0.0.1"))

    assert await addresses.reachable(asked, 8080) == ["10.0.0.1"]


async def test_an_allowed_host_is_allowed_at_its_port_alone():
    addresses = Addresses(["intranet.example:8080"], leads_to("10.0.0.1"))

    with pytest.raises(NodeFailed, match="not a public address"):
        await addresses.reachable("intranet.example", 8081)


async def test_an_allowed_address_is_reached_under_any_name():
    addresses = Addresses(["10.0.0.1:8080", "[fd00::1]:8080"], leads_to("10.0.0.1", "fd00::1"))

    assert await addresses.reachable("service.example", 8080) == ["10.0.0.1", "fd00::1"]


async def test_a_host_without_an_address_may_have_one_later():
    with pytest.raises(NodeFailed, match="no address") as failed:
        await Addresses(resolve=leads_to()).reachable("example.com", 80)

    assert failed.value.retryable


@pytest.mark.parametrize(
    "entry", ["localhost", "localhost:", ":80", "localhost:http", "localhost:0", "a:70000"]
)
def test_an_entry_that_is_not_host_and_port_is_refused(entry):
    with pytest.raises(Invalid, match="ROWEL_HTTP_ALLOW"):
        Addresses([entry])


@pytest.mark.parametrize(
    "written", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "::1", "localhost"]
)
async def test_no_spelling_of_loopback_gets_through(written):
    with pytest.raises(NodeFailed):
        await Addresses().reachable(written, 80)


async def test_a_name_that_no_one_knows_may_be_known_later():
    with pytest.raises(NodeFailed, match=r"nowhere\.invalid can't be found") as failed:
        await look_up_name("nowhere.invalid", 80)

    assert failed.value.retryable


async def test_what_is_no_name_is_refused_for_good():
    with pytest.raises(NodeFailed, match="not a host name") as failed:
        await look_up_name("a" * 300, 80)

    assert not failed.value.retryable
