"""The dashboard and the operator's page name metrics that exist, and all of them."""

from __future__ import annotations

import json
import re

from rowel.observe.exposition import metric_names
from tests.house.test_docs import OPERATIONS, rows
from tests.support.source import ROOT

DASHBOARD = json.loads((ROOT / "deploy" / "grafana.json").read_text())
_NAME = re.compile(r"\browel_[a-z_]+")


def family(name: str) -> str:
    """A metric's name without the ending of a histogram's samples."""
    return re.sub(r"_(bucket|count|sum)$", "", name) if name in metric_names() else name


def named(*texts: str) -> set[str]:
    return {name for text in texts for name in _NAME.findall(text)}


def test_each_metric_of_the_dashboard_exists_and_none_is_left_out() -> None:
    used = named(*(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]))

    assert used <= metric_names()
    assert {family(name) for name in used} == {family(name) for name in metric_names()}


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}

    assert len({panel["id"] for panel in panels}) == len(places) == len(panels)


def test_each_metric_is_explained() -> None:
    explained = named(*(cell for cell, *_ in rows(OPERATIONS, "## Metrics")))

    assert {family(name) for name in metric_names()} <= explained


def test_the_page_and_its_alarms_name_only_metrics_that_exist() -> None:
    assert named(*(line for line in OPERATIONS.splitlines() if "rowel_" in line)) <= metric_names() | {
        family(name) for name in metric_names()
    }
