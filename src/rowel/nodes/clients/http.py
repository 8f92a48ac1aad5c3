"""HTTP calls for workflows, to public addresses only. Importing this loads no HTTP library; the first call does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rowel.nodes.clients.addresses import Addresses, Resolve
from rowel.nodes.context import Response

if TYPE_CHECKING:
    from rowel.nodes.clients.calls import Calls

MAX_ANSWER_BYTES = 10 * 1024 * 1024


class HTTPClient:
    """Implements `HTTP`."""

    def __init__(
        self,
        allow: Iterable[str] = (),
        *,
        resolve: Resolve | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        """`allow` holds the `host:port` entries of ROWEL_HTTP_ALLOW. `resolve` looks up host names.

        Raises `Invalid` for an entry of `allow` that is not `host:port`.
        """
        self._addresses = Addresses(allow, resolve)
        self._max_answer_bytes = max_answer_bytes
        self._calls: Calls | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        timeout_s: float = 60.0,
        trusted: bool = False,
    ) -> Response:
        """Make one call and return its answer, whatever its status. Follows up to 3 redirects.

        `query` is added to the URL's own. `timeout_s` bounds the whole call. `trusted` (for base URLs that the
        operator set in the environment) lifts the address check for the first origin only.

        Raises `NodeFailed`: retryable where no answer came; not where the URL, a header, the address, a redirect
        or the size of the answer is refused. Messages name the host, never the URL's query or a header's value.
        """
        if self._calls is None:
            from rowel.nodes.clients.calls import Calls

            self._calls = Calls(self._addresses, self._max_answer_bytes)
        return await self._calls.request(
            method, url, headers=headers, query=query, content=content, timeout_s=timeout_s, trusted=trusted
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._calls is not None:
            await self._calls.close()
