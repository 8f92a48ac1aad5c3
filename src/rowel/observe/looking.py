"""Everything that looks into one process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rowel.engine.observer import Observer
from rowel.observe.many import Observers
from rowel.observe.metrics import Metrics

if TYPE_CHECKING:
    from rowel.observe.traces import Traces

#: One of them says where traces go; without, there are none.
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Looking:
    """Metrics always, traces where the `OTEL_...` variables of the environment say where to."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self._traces = _traces()

    @property
    def observer(self) -> Observer:
        """What the engine is to tell."""
        return self.metrics if self._traces is None else Observers(self.metrics, self._traces)

    def close(self) -> None:
        """Send what is left. Takes seconds where nobody takes it."""
        if self._traces is not None:
            self._traces.close()


def _traces() -> Traces | None:
    is_off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if is_off or os.environ.get("OTEL_TRACES_EXPORTER") == "none" or not any(map(os.environ.get, ENDPOINTS)):
        return None
    # Only who wants traces pays for the SDK. What reads OTEL_TRACES_SAMPLER has no public name.
    from opentelemetry.sdk.trace.sampling import _get_from_env_or_default

    from rowel.observe.traces import Traces

    return Traces(sampler=_get_from_env_or_default())
