"""HTTP calls over httpx: bounded in time and size, their addresses checked again at each redirect."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore
import httpx

from rowel.core.errors import NodeFailed
from rowel.nodes.clients.addresses import Addresses
from rowel.nodes.context import Response

CONNECT_TIMEOUT_S = 10.0
MAX_REDIRECTS = 3

#: Headers that may follow a redirect to another origin. All others may hold secrets of the first one.
_HARMLESS = frozenset(
    {"host", "accept", "accept-encoding", "accept-language", "user-agent", "content-type", "content-length"}
)
#: Headers that belong to one connection and are this client's to set.
_HOP_BY_HOP = frozenset(
    {"connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)


class Calls:
    """One pool of connections for checked addresses, one for those the operator set."""

    def __init__(self, addresses: Addresses, max_answer_bytes: int) -> None:
        self._addresses = addresses
        self._max_answer_bytes = max_answer_bytes
        self._clients: dict[bool, httpx.AsyncClient] = {}

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None,
        query: Mapping[str, Any] | None,
        content: bytes | None,
        timeout_s: float,
        trusted: bool,
    ) -> Response:
        """Make one call and return its answer, as `HTTPClient.request` says."""
        target = _target(url, query)
        try:
            async with asyncio.timeout(timeout_s):
                request = self._build(method, target, headers or {}, content, timeout_s)
                return await self._follow(request, trusted)
        except TimeoutError:
            raise NodeFailed(f"{target.host} did not answer within {timeout_s:g} s", retryable=True) from None
        except httpx.HTTPError as error:
            raise _failure(error, target.host) from None

    async def close(self) -> None:
        """Close all connections."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.aclose()

    def _build(
        self,
        method: str,
        target: httpx.URL,
        headers: Mapping[str, str],
        content: bytes | None,
        timeout_s: float,
    ) -> httpx.Request:
        sent = {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP}
        limits = httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))
        try:
            return self._client(False).build_request(
                method.upper(), target, headers=sent, content=content, timeout=limits
            )
        except (UnicodeError, ValueError, TypeError):
            raise NodeFailed(
                f"a header of the call to {target.host} holds characters that HTTP forbids"
            ) from None

    async def _follow(self, request: httpx.Request, trusted: bool) -> Response:
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._client(trusted).send(request, stream=True)
            if answer.next_request is None:
                return await self._read(answer)
            await answer.aclose()
            trusted = trusted and _same_origin(request.url, answer.next_request.url)
            request = _redirected(request, answer.next_request)
        raise NodeFailed(f"{request.url.host} redirects more than {MAX_REDIRECTS} times")

    async def _read(self, answer: httpx.Response) -> Response:
        body = bytearray()
        try:
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > self._max_answer_bytes:
                    raise self._too_large(answer)
        finally:
            await answer.aclose()
        return Response(answer.status_code, dict(answer.headers), self._unpack(bytes(body), answer))

    def _unpack(self, body: bytes, answer: httpx.Response) -> bytes:
        """Undo gzip and deflate within the size limit: a small answer may unpack to gigabytes."""
        coding = answer.headers.get("content-encoding", "").strip().lower()
        if not body or coding not in ("gzip", "x-gzip", "deflate"):
            return body
        try:
            unpacking = zlib.decompressobj(wbits=47)
            data = unpacking.decompress(body, self._max_answer_bytes)
        except zlib.error:
            raise NodeFailed(f"the answer of {answer.url.host} is not valid {coding}") from None
        if unpacking.unconsumed_tail:
            raise self._too_large(answer)
        return data

    def _too_large(self, answer: httpx.Response) -> NodeFailed:
        limit = self._max_answer_bytes
        return NodeFailed(f"the answer of {answer.url.host} is larger than the limit of {limit:,} bytes")

    def _client(self, trusted: bool) -> httpx.AsyncClient:
        """Return the pool for this trust. They are apart so that no checked call finds an unchecked connection."""
        if trusted not in self._clients:
            network = httpcore.AnyIOBackend() if trusted else _CheckedNetwork(self._addresses)
            self._clients[trusted] = httpx.AsyncClient(
                transport=_Transport(network),
                trust_env=False,
                headers={"accept-encoding": "gzip", "user-agent": "rowel"},
                # Two workflows must not share what a site remembers of them.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            )
        return self._clients[trusted]


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Opens connections to addresses that were checked, and to those very addresses: nothing is looked up twice."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        lost: httpcore.ConnectError | None = None
        for address in await self._addresses.reachable(host, port):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as error:
                lost = error
        raise lost or httpcore.ConnectError("no address")


class _Transport(httpx.AsyncHTTPTransport):
    """httpx's own transport over a pool whose network is ours; httpx offers no argument for that."""

    def __init__(self, network: httpcore.AsyncNetworkBackend) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            # Certificates of the operator's own authority count (SSL_CERT_FILE).
            ssl_context=httpx.create_ssl_context(),
            max_connections=200,
            max_keepalive_connections=20,
            keepalive_expiry=5.0,
            network_backend=network,
        )


def _target(url: str, query: Mapping[str, Any] | None) -> httpx.URL:
    try:
        target = httpx.URL(url.strip())
        merged = target.copy_merge_params(dict(query)) if query else target
    except (httpx.InvalidURL, UnicodeError, TypeError):
        raise NodeFailed("the URL of the call is not valid") from None
    _check(merged)
    return merged


def _check(url: httpx.URL) -> None:
    if url.scheme not in ("http", "https") or not url.host:
        raise NodeFailed(
            f"only http:// and https:// URLs with a host can be called, not {url.scheme or 'this'}"
        )
    if not 0 < _port(url) < 65_536:
        raise NodeFailed(f"the URL's port {url.port} is none")


def _redirected(before: httpx.Request, after: httpx.Request) -> httpx.Request:
    """Return the request that a redirect asks for, without what only the first origin may know."""
    _check(after.url)
    if not _same_origin(before.url, after.url):
        for name in [name for name in after.headers if name.lower() not in _HARMLESS]:
            del after.headers[name]
    return after


def _same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.scheme, one.host, _port(one)) == (other.scheme, other.host, _port(other))


def _port(url: httpx.URL) -> int:
    default = 443 if url.scheme == "https" else 80
    return default if url.port is None else url.port


def _failure(error: httpx.HTTPError, host: str) -> NodeFailed:
    """Say what went wrong without the library's own text, which may quote a header or the URL."""
    if isinstance(error, httpx.ConnectTimeout):
        return NodeFailed(f"no connection to {host} within {CONNECT_TIMEOUT_S:g} s", retryable=True)
    if isinstance(error, httpx.ConnectError):
        return NodeFailed(
            f"no connection to {host}: it refuses, or its certificate is not valid", retryable=True
        )
    if isinstance(error, httpx.TimeoutException):
        return NodeFailed(f"{host} stopped answering in time", retryable=True)
    if isinstance(error, httpx.LocalProtocolError):
        return NodeFailed(f"the call to {host} holds a method or header that HTTP forbids")
    return NodeFailed(f"the connection to {host} was lost before the whole answer came", retryable=True)
