"""What a model call cost."""

from __future__ import annotations

from genai_prices import calc_price
from genai_prices.types import AbstractUsage


def cost_usd(provider: str | None, names: tuple[str | None, ...], tokens: AbstractUsage) -> float | None:
    """Return the price in US dollars of `tokens` at the first of the model `names` that has a price, else None.

    `provider` is its name in genai-prices; None for one that isn't paid per token.
    """
    if provider is None:
        return None
    for name in names:
        try:
            return float(calc_price(tokens, name or "", provider_id=provider).total_price)
        except (LookupError, ValueError):
            continue
    return None
