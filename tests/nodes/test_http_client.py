from __future__ import annotations

import asyncio
import gzip
import ssl
import zlib

import pytest

from rowel.core.errors import NodeFailed
from rowel.nodes.clients.http import HTTPClient
from rowel.nodes.context import Response
from tests.support.certificates import make_certificate
from tests.support.providers import Providers, Reply


@pytest.fixture
async def stranger():
    """A client without any allowance."""
    client = HTTPClient()
    yield client
    await client.close()


async def failure_of(call) -> NodeFailed:
    with pytest.raises(NodeFailed) as failed:
        await call
    return failed.value


def redirect(url: str, status: int = 302) -> Reply:
    return Reply(status=status, headers={"Location": url})


async def test_a_call_brings_its_answer(http, providers):
    providers.on("/things", Reply(status=201, json={"id": 7}, headers={"X-Kind": "thing"}))

    answer = await http.request(
        "post",
        f"{providers.url}/things",
        headers={"X-Key": "k"},
        query={"a": "1 2", "b": [3, 4]},
        content=b"body",
    )

    assert isinstance(answer, Response)
    assert (answer.status, answer.body, answer.headers["x-kind"]) == (201, b'{"id": 7}', "thing")
    (call,) = providers.calls
    assert (call.method, call.path, call.body, call.headers["x-key"]) == ("POST", "/things", b"body", "k")
    assert call.query == {"a": ["1 2"], "b": ["3", "4"]}


async def test_a_query_is_added_to_that_of_the_url(http, providers):
    await http.request("GET", f"{providers.url}/things?page=2", query={"size": 5})

    assert providers.calls[0].query == {"page": ["2"], "size": ["5"]}


@pytest.mark.parametrize("status", [204, 404, 500])
async def test_any_status_is_an_answer(http, providers, status):
    providers.on("/things", Reply(status=status))

    assert (await http.request("GET", f"{providers.url}/things")).status == status


async def test_an_address_inside_is_refused_before_anything_is_sent(stranger, providers):
    for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"):
        failed = await failure_of(stranger.request("GET", f"http://{host}:{providers.port}/"))
        assert "not a public address" in failed.message
        assert not failed.retryable

    assert providers.calls == []


async def test_what_the_operator_set_is_trusted(stranger, providers):
    assert (await stranger.request("GET", providers.url, trusted=True)).status == 200


async def test_trust_leaves_no_connection_for_those_without_it(stranger, providers):
    await stranger.request("GET", providers.url, trusted=True)

    assert "not a public address" in (await failure_of(stranger.request("GET", providers.url))).message


async def test_the_address_that_was_checked_is_the_one_connected_to(providers):
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])

    async def changing(host: str, port: int) -> list[str]:
        return next(answers)

    client = HTTPClient([f"127.0.0.1:{providers.port}"], resolve=changing)
    answer = await client.request("GET", f"http://rebound.example:{providers.port}/")
    await client.close()

    assert answer.status == 200
    assert providers.calls[0].headers["host"] == f"rebound.example:{providers.port}"
    assert next(answers) == ["10.0.0.1"]


async def test_the_next_address_is_tried_when_the_first_does_not_answer(providers):
    async def two(host: str, port: int) -> list[str]:
        return ["::1", "127.0.0.1"]

    client = HTTPClient([f"both.example:{providers.port}"], resolve=two)
    answer = await client.request("GET", f"http://both.example:{providers.port}/")
    await client.close()

    assert answer.status == 200


async def test_redirects_are_followed(http, providers):
    providers.on("/a", redirect("/b"))
    providers.on("/b", redirect(f"{providers.url}/c", 307))

    answer = await http.request("POST", f"{providers.url}/a", content=b"x")

    assert answer.status == 200
    assert [(call.method, call.path) for call in providers.calls] == [
        ("POST", "/a"),
        ("GET", "/b"),
        ("GET", "/c"),
    ]


async def test_a_redirect_may_keep_the_method_and_the_body(http, providers):
    providers.on("/a", redirect("/b", 307))

    await http.request("POST", f"{providers.url}/a", content=b"x", headers={"X-Key": "k"})

    assert [(call.method, call.body, call.headers["x-key"]) for call in providers.calls] == [
        ("POST", b"x", "k")
    ] * 2


async def test_the_fourth_redirect_is_one_too_many(http, providers):
    providers.on("/a", redirect("/a"))

    failed = await failure_of(http.request("GET", f"{providers.url}/a"))

    assert "more than 3 times" in failed.message
    assert len(providers.calls) == 4


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_redirect_to_an_address_inside_is_refused(http, providers, trusted):
    with Providers() as inside:
        providers.on("/a", redirect(inside.url))
        failed = await failure_of(http.request("GET", f"{providers.url}/a", trusted=trusted))

        assert f"127.0.0.1:{inside.port} is not a public address" in failed.message
        assert inside.calls == []


async def test_a_redirect_to_another_scheme_is_refused(http, providers):
    providers.on("/a", redirect("file:///etc/passwd"))

    assert "not file" in (await failure_of(http.request("GET", f"{providers.url}/a"))).message


async def test_a_redirect_elsewhere_takes_no_secrets_along(providers):
    with Providers() as other:
        client = HTTPClient([f"127.0.0.1:{providers.port}", f"127.0.0.1:{other.port}"])
        providers.on("/a", redirect(f"{other.url}/b", 307))
        secrets = {"Authorization": "Bearer s", "X-API-Key": "s", "Cookie": "s=1", "Accept": "text/plain"}
        await client.request("GET", f"{providers.url}/a", headers=secrets)
        await client.close()

        (call,) = other.calls
        assert call.headers["accept"] == "text/plain"
        assert not {"authorization", "x-api-key", "cookie"} & call.headers.keys()


@pytest.mark.parametrize(
    "url", ["ftp://example.com/", "file:///etc/passwd", "gopher://example.com", "example.com", "http://", ""]
)
async def test_only_web_addresses_can_be_called(stranger, url):
    assert "only http:// and https://" in (await failure_of(stranger.request("GET", url))).message


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://example.com:99999/", "http://example.com:0/", "http://\x00/"]
)
async def test_a_broken_url_is_refused(stranger, url):
    assert not (await failure_of(stranger.request("GET", url))).retryable


@pytest.mark.parametrize("headers", [{"X": "a\r\nY: b"}, {"X\r\nY": "b"}, {"X": "snö☃"}, {"": "x"}])
async def test_a_header_that_would_break_the_request_is_refused_without_showing_it(http, providers, headers):
    failed = await failure_of(http.request("GET", providers.url, headers=headers))

    assert "HTTP forbids" in failed.message
    assert providers.calls == []


async def test_headers_of_the_connection_are_not_the_users_to_set(http, providers):
    forged = {"Content-Length": "1", "Transfer-Encoding": "chunked", "Connection": "upgrade", "Upgrade": "x"}

    await http.request("POST", providers.url, headers=forged, content=b"four")

    assert providers.calls[0].body == b"four"
    assert providers.calls[0].headers["content-length"] == "4"
    assert "transfer-encoding" not in providers.calls[0].headers


async def test_an_answer_over_the_limit_is_refused(providers):
    client = HTTPClient([f"127.0.0.1:{providers.port}"], max_answer_bytes=1_000)
    providers.on("/fits", Reply(body=b"x" * 1_000))
    providers.on("/over", Reply(body=b"x" * 1_001))

    assert len((await client.request("GET", f"{providers.url}/fits")).body) == 1_000
    failed = await failure_of(client.request("GET", f"{providers.url}/over"))
    await client.close()

    assert "larger than the limit of 1,000 bytes" in failed.message


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_packed_answer_is_unpacked(http, providers, coding, pack):
    providers.on("/packed", Reply(body=pack(b"plain " * 100), headers={"Content-Encoding": coding}))

    assert (await http.request("GET", f"{providers.url}/packed")).body == b"plain " * 100


async def test_a_small_answer_that_unpacks_to_a_huge_one_is_refused(http, providers):
    bomb = gzip.compress(b"\0" * 11 * 1024 * 1024)
    providers.on("/bomb", Reply(body=bomb, headers={"Content-Encoding": "gzip"}))

    assert "larger than the limit" in (await failure_of(http.request("GET", f"{providers.url}/bomb"))).message


async def test_a_broken_packing_is_refused(http, providers):
    providers.on("/broken", Reply(body=b"not gzip", headers={"Content-Encoding": "gzip"}))

    assert "not valid gzip" in (await failure_of(http.request("GET", f"{providers.url}/broken"))).message


@pytest.mark.parametrize("reply", [Reply(cut=True), Reply(body=b"x" * 100, cut=True)])
async def test_a_lost_connection_may_be_tried_again(http, providers, reply):
    providers.on("/a", reply)

    failed = await failure_of(http.request("GET", f"{providers.url}/a?secret=s"))

    assert failed.retryable
    assert "127.0.0.1" in failed.message
    assert "secret" not in failed.message


async def test_a_host_that_refuses_may_be_tried_again(http, providers):
    with Providers() as gone:
        client = HTTPClient([f"127.0.0.1:{gone.port}"])

    failed = await failure_of(client.request("GET", f"{gone.url}/"))
    await client.close()

    assert failed.retryable
    assert "no connection to 127.0.0.1" in failed.message


async def test_the_whole_call_is_bounded_in_time(http, providers):
    providers.on("/slow", providers.held(Reply()))

    failed = await failure_of(http.request("GET", f"{providers.url}/slow?secret=s", timeout_s=0.05))

    assert failed.retryable
    assert failed.message == "127.0.0.1 did not answer within 0.05 s"


async def test_what_a_site_remembers_is_not_told_to_the_next_workflow(http, providers):
    providers.on("/login", Reply(headers={"Set-Cookie": "session=s; Path=/"}))

    await http.request("GET", f"{providers.url}/login")
    await http.request("GET", f"{providers.url}/other")

    assert "cookie" not in providers.calls[1].headers


async def test_no_proxy_is_taken_from_the_environment(http, providers, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert (await http.request("GET", providers.url)).status == 200


async def test_a_canceled_call_lets_go(http, providers):
    providers.on("/slow", providers.held(Reply()))
    call = asyncio.create_task(http.request("GET", f"{providers.url}/slow"))
    await asyncio.to_thread(providers.received.wait, 10)
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    providers.released.set()
    assert (await http.request("GET", f"{providers.url}/other")).status == 200


@pytest.fixture
def secure(tmp_path, monkeypatch):
    """A service with a certificate for service.example, signed by an authority that the operator trusts."""
    certificate = make_certificate(tmp_path, "service.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Providers(tls=context) as running:
        yield running


async def to_loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


async def test_a_certificate_is_checked_against_the_name_and_not_the_address(secure):
    client = HTTPClient([f"service.example:{secure.port}"], resolve=to_loopback)
    answer = await client.request("GET", f"https://service.example:{secure.port}/a")
    await client.close()

    assert answer.status == 200
    assert secure.calls[0].headers["host"] == f"service.example:{secure.port}"


async def test_a_certificate_of_another_name_is_refused(secure):
    client = HTTPClient([f"other.example:{secure.port}"], resolve=to_loopback)
    failed = await failure_of(client.request("GET", f"https://other.example:{secure.port}/a"))
    await client.close()

    assert "its certificate is not valid" in failed.message
    assert secure.calls == []
