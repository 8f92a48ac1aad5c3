"""A web page as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import Field

from rowel.core.definition import NodeSpec
from rowel.core.errors import NodeFailed, Problem
from rowel.core.outcomes import Fields
from rowel.nodes.base import Config, Node
from rowel.nodes.context import Context
from rowel.nodes.integrations import Service
from rowel.nodes.templated import TemplatedFields, template_problems

_FIRECRAWL = Service("Firecrawl", "https://api.firecrawl.dev", "FIRECRAWL_API_URL")
_TEMPLATES = ("url_template",)


class FirecrawlScrapeConfig(Config):
    url_template: str = Field(default="", description="A template of the page's address.")
    has_fixed_output: bool = True


class FirecrawlScrapeNode(Node[FirecrawlScrapeConfig]):
    """Reads a web page through Firecrawl and passes on {markdown}. Needs FIRECRAWL_API_KEY."""

    category = "Integrations"
    touches_outside = True

    def __init__(self, spec: NodeSpec, config: FirecrawlScrapeConfig) -> None:
        super().__init__(spec, config)
        self._texts = TemplatedFields(config, *_TEMPLATES)

    @classmethod
    def problems(cls, spec: NodeSpec, config: FirecrawlScrapeConfig) -> Iterable[Problem]:
        return template_problems(spec, config, _TEMPLATES)

    @classmethod
    def template_fields(cls) -> Sequence[str]:
        return _TEMPLATES

    async def run(self, inputs: Fields, context: Context) -> Fields:
        url = self._texts.render(inputs)["url_template"].strip()
        if not url:
            raise NodeFailed("url_template: the page's address is empty")
        body = {"url": url, "formats": ["markdown"]}
        answer = await _FIRECRAWL.post("/v1/scrape", body, "FIRECRAWL_API_KEY", context)
        data = answer.get("data") if isinstance(answer, dict) else None
        markdown = data.get("markdown") if isinstance(data, dict) else None
        if not isinstance(markdown, str):
            raise NodeFailed("Firecrawl read nothing at this address")
        return {"markdown": markdown}
