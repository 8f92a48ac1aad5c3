from __future__ import annotations

from typing import Any

import pytest

from rowel.core.errors import NodeFailed
from rowel.nodes.builtin.firecrawl_scrape import FirecrawlScrapeNode
from tests.support.contexts import make_context, make_services
from tests.support.nodes import build, outcome_of, problems_of
from tests.support.providers import Reply

INPUTS = {"RouterNode_1": {"input_node": {"blogpost_url": "https://blog.example.com/post"}}}
URL = "{{RouterNode_1.input_node.blogpost_url}}"


async def outputs_of(context, inputs: dict[str, Any] = INPUTS, url: str = URL) -> Any:
    return (await outcome_of(build(FirecrawlScrapeNode, url_template=url), inputs, context)).outputs


async def failure_of(context, **changes: Any) -> NodeFailed:
    with pytest.raises(NodeFailed) as failed:
        await outputs_of(context, **changes)
    return failed.value


async def test_a_page_comes_back_as_markdown(context, providers):
    assert await outputs_of(context) == {"markdown": "# Page\n\nFrom https://blog.example.com/post"}

    (call,) = providers.calls
    assert (call.method, call.path) == ("POST", "/v1/scrape")
    assert call.json == {"url": "https://blog.example.com/post", "formats": ["markdown"]}
    assert call.headers["authorization"] == "Bearer fc-0123456789"
    assert call.headers["idempotency-key"] == context.task_id


async def test_firecrawl_itself_is_the_default_address(http):
    asked: list[str] = []

    class Recorder:
        async def request(self, method: str, url: str, **_: Any) -> Any:
            asked.append(url)
            raise NodeFailed("recorded")

    services = make_services(http=Recorder(), environment={"FIRECRAWL_API_KEY": "k"})
    assert (await failure_of(make_context(services))).message == "recorded"
    assert asked == ["https://api.firecrawl.dev/v1/scrape"]


async def test_a_missing_key_is_named_by_its_variable(http):
    failed = await failure_of(make_context(make_services(http=http)))

    assert failed.message == "Firecrawl needs a key: set FIRECRAWL_API_KEY in the server's environment"


@pytest.mark.parametrize(
    "trouble",
    [Reply(status=429, headers={"Retry-After": "0"}), Reply(status=502, headers={"Retry-After": "0"})],
)
async def test_what_may_pass_is_tried_again(context, providers, trouble):
    providers.on("/v1/scrape", trouble, trouble, {"success": True, "data": {"markdown": "# Hi"}})

    assert await outputs_of(context) == {"markdown": "# Hi"}
    assert len(providers.calls) == 3


async def test_it_gives_up_after_three_tries(context, providers):
    providers.on("/v1/scrape", Reply(status=503, headers={"Retry-After": "0"}))

    failed = await failure_of(context)

    assert (failed.message, failed.retryable, failed.retry_after_s) == (
        "Firecrawl answered HTTP 503",
        True,
        0,
    )
    assert len(providers.calls) == 3


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(status=401, json={"error": "fc-0123456789 is wrong"}), "check FIRECRAWL_API_KEY"),
        (Reply(status=402), "HTTP 402"),
        (Reply(body=b"<html>"), "not JSON"),
        (Reply(json={"success": False}), "read nothing"),
        (Reply(json={"data": {"markdown": None}}), "read nothing"),
        (Reply(json=[]), "read nothing"),
    ],
)
async def test_what_will_not_pass_fails_at_once(context, providers, reply, said):
    providers.on("/v1/scrape", reply)

    failed = await failure_of(context)

    assert said in failed.message
    assert "fc-0123456789" not in failed.message
    assert not failed.retryable
    assert len(providers.calls) == 1


async def test_an_empty_address_is_not_sent(context, providers):
    assert "empty" in (await failure_of(context, url=" ")).message
    assert providers.calls == []


async def test_an_address_that_is_not_there_fails(context):
    assert (await failure_of(context, inputs={})).message.startswith("url_template: line 1")


def test_a_template_that_does_not_parse_is_refused():
    (found,) = problems_of(FirecrawlScrapeNode, url_template="{{ x")

    assert found.startswith("config.url_template: line 1")


def test_it_says_what_it_is():
    assert FirecrawlScrapeNode.touches_outside
    assert FirecrawlScrapeNode.template_fields() == ("url_template",)
