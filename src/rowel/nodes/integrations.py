"""Calls to services whose address and key the operator sets in the environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rowel.core import jsontext
from rowel.core.errors import Invalid, NodeFailed
from rowel.nodes.clients.retries import persist, retry_after_s
from rowel.nodes.context import Context, Response

_ATTEMPTS = 3


@dataclass(frozen=True)
class Service:
    """One outside service: its name for messages, its address, and the variable that sets another one."""

    name: str
    base_url: str
    base_variable: str
    #: The same call twice does no harm. Else only what the service surely did not do (429) is tried again.
    is_repeatable: bool = True

    async def post(self, path: str, body: Mapping[str, Any], key_variable: str, context: Context) -> Any:
        """POST JSON, with the key in `key_variable` as bearer token, and return the JSON answered.

        Raises `NodeFailed` where the key is missing (naming its variable) or refused, where the status is 400 or
        more, and where the answer is not JSON; after 3 tries of what may pass.
        """
        base_url, key = self._address(context), self._key(key_variable, context)
        headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json; charset=utf-8",
            "Idempotency-Key": context.task_id,
        }
        content = json.dumps(body).encode()

        async def send() -> Response:
            response = await context.services.http.request(
                "POST",
                f"{base_url}{path}",
                headers=headers,
                content=content,
                timeout_s=context.timeout_s,
                trusted=True,
            )
            if response.status >= 400:
                raise self._refused(response, key_variable, context)
            return response

        return self._read(await persist(send, attempts=_ATTEMPTS, repeats=self._repeats))

    def _repeats(self, failure: NodeFailed) -> bool:
        return failure.retryable if self.is_repeatable else failure.details.get("status") == 429

    def _address(self, context: Context) -> str:
        return (context.services.environment.get(self.base_variable, "").strip() or self.base_url).rstrip("/")

    def _key(self, variable: str, context: Context) -> str:
        key = context.services.environment.get(variable, "").strip()
        if not key:
            raise NodeFailed(f"{self.name} needs a key: set {variable} in the server's environment")
        return key

    def _refused(self, response: Response, key_variable: str, context: Context) -> NodeFailed:
        if response.status in (401, 403):
            return NodeFailed(f"{self.name} refused the key (HTTP {response.status}): check {key_variable}")
        is_passing = response.status == 429 or response.status >= 500
        return NodeFailed(
            f"{self.name} answered HTTP {response.status}",
            retryable=is_passing,
            retry_after_s=retry_after_s(response.headers, context.now()) if is_passing else None,
            details={"status": response.status},
        )

    def _read(self, response: Response) -> Any:
        try:
            return jsontext.parse(response.body)
        except Invalid:
            raise NodeFailed(f"{self.name} answered with something that is not JSON") from None
