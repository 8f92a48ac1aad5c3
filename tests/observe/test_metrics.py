"""What a process counts, read as Prometheus reads it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from rowel.core.errors import NodeFailed, Unavailable
from rowel.core.outcomes import Usage
from rowel.core.status import PauseAction
from rowel.engine.compose import build_engine
from rowel.engine.engine import Engine
from rowel.engine.observer import Waiting
from rowel.nodes.context import Answer, Message, ModelSettings
from rowel.observe.door import open_door
from rowel.observe.exposition import MEDIA_TYPE, Exposition, metric_names
from rowel.observe.metrics import Metrics
from rowel.observe.models import WatchedModels
from rowel.observe.tallies import MOST_VALUES, Known, Spread
from tests.support.api import Api
from tests.support.contexts import make_services
from tests.support.flows import flow, given, human, of_type, static
from tests.support.house import all_of, rested, save

Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> Samples:
    """Each sample, by its name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def read(exposition: Exposition) -> Samples:
    return parsed((await exposition.render()).decode())


def at(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


PAID = flow("start>ask ask>paid", start=given(n="int"), ask=human(message="Pay?"), paid=static(paid=True))


async def test_runs_tasks_pauses_and_commits_are_counted(engine: Engine, metrics: Metrics) -> None:
    workflow_id = await save(engine, PAID)
    run = await engine.run(workflow_id, {"start": {"n": 1}})
    exposition = Exposition(metrics, engine.waiting)
    while_paused = await read(exposition)
    await engine.decide(run.run.id, PauseAction.APPROVE, {}, "ada")
    await rested(engine, run.run.id)
    found = await read(Exposition(metrics, engine.waiting))

    assert at(while_paused, "rowel_runs_open", status="PAUSED") == 1
    assert at(while_paused, "rowel_pauses_open") == 1
    assert at(while_paused, "rowel_pauses_total", change="opened") == 1
    assert at(found, "rowel_pauses_total", change="answered") == 1
    assert at(found, "rowel_runs_open", status="PAUSED") == 0
    assert at(found, "rowel_run_changes_total", status="COMPLETED") == 1
    assert at(found, "rowel_runs_taken_up_total") == 1
    assert at(found, "rowel_task_seconds_count", node_type="InputNode", status="COMPLETED") == 1
    assert at(found, "rowel_task_seconds_count", node_type="StaticValueNode", status="COMPLETED") == 1
    assert at(found, "rowel_commit_seconds_count") >= 3
    assert at(found, "rowel_commit_groups_sum") >= at(found, "rowel_commit_seconds_count")
    assert at(found, "rowel_queue_depth") == at(found, "rowel_runs_moving") == 0


async def test_a_failed_attempt_is_a_retry_and_a_failed_run_a_change(
    tmp_path: Path, metrics: Metrics
) -> None:
    class Refuses:
        async def request(self, *_: Any, **__: Any) -> Any:
            raise NodeFailed("no", retryable=True)

    engine = build_engine(tmp_path / "data", services=make_services(http=Refuses()), observer=metrics)
    await engine.open()
    try:
        call = of_type("HTTPRequestNode", url="http://x/", retry={"attempts": 2, "backoff_s": 0.001})
        run = await engine.run(await save(engine, flow("start>call", start=given(), call=call)), {})
    finally:
        await engine.close()
    found = await read(Exposition(metrics, None))

    assert run.run.status == "FAILED"
    assert at(found, "rowel_task_retries_total", node_type="HTTPRequestNode") == 1
    assert at(found, "rowel_task_seconds_count", node_type="HTTPRequestNode", status="FAILED") == 1
    assert at(found, "rowel_run_changes_total", status="FAILED") == 1


async def test_a_cancel_is_a_change_as_well(engine: Engine, metrics: Metrics) -> None:
    run = await engine.run(await save(engine, PAID), {"start": {"n": 1}})
    await engine.cancel(run.run.id)

    assert at(await read(Exposition(metrics, None)), "rowel_run_changes_total", status="CANCELED") == 1


async def test_streams_of_events_are_counted_while_they_are_followed(
    engine: Engine, metrics: Metrics
) -> None:
    run = await engine.run(await save(engine, PAID), {"start": {"n": 1}})
    following = asyncio.ensure_future(all_of(engine.events(run.run.id)))
    await asyncio.sleep(0)
    during = await read(Exposition(metrics, engine.waiting))
    await engine.cancel(run.run.id)
    await following
    after = await read(Exposition(metrics, engine.waiting))

    assert at(during, "rowel_event_streams") == 1
    assert at(after, "rowel_event_streams") == 0


class Models:
    """Gives the same answer, or fails."""

    async def ask(self, model: str, *_: Any, **__: Any) -> Answer:
        if model == "bad":
            raise NodeFailed("no")
        return Answer("yes", Usage(10, 3, 0.5, 1), model)


async def test_calls_of_models_tell_tokens_and_cost_by_model(metrics: Metrics) -> None:
    models = WatchedModels(Models(), metrics.model_called)
    ask = [Message("user", "a secret")]
    await models.ask("openai/gpt-4o", ask, ModelSettings())
    await models.ask("openai/gpt-4o", ask, ModelSettings())
    with pytest.raises(NodeFailed):
        await models.ask("bad", ask, ModelSettings())
    text = (await Exposition(metrics, None).render()).decode()
    found = parsed(text)

    assert at(found, "rowel_model_tokens_total", model="openai/gpt-4o", direction="input") == 20
    assert at(found, "rowel_model_tokens_total", model="openai/gpt-4o", direction="output") == 6
    assert at(found, "rowel_model_cost_dollars_total", model="openai/gpt-4o") == 1.0
    assert at(found, "rowel_model_calls_total", model="bad", outcome="failed") == 1
    assert at(found, "rowel_model_seconds_count", model="openai/gpt-4o") == 2
    assert "secret" not in text


async def test_requests_are_counted_by_route_and_never_by_what_clients_say(api: Api) -> None:
    await api.get("/run/some-id/", 404)
    await api.get("/run/another-id/", 404)
    await api.get("/there/is/nothing", 404)
    await api.ask("BREW", "/health/live")
    text = (await api.ask("GET", "/metrics")).text
    found = parsed(text)

    assert at(found, "rowel_http_requests_total", method="GET", route="/run/{run_id}/", status="404") == 2
    assert at(found, "rowel_http_requests_total", method="GET", route="none", status="404") == 1
    assert "some-id" not in text
    assert "BREW" not in text


async def test_every_answer_has_an_id_that_a_client_may_choose(api: Api) -> None:
    chosen = await api.ask("GET", "/health/live", headers={"X-Request-ID": "mine-1"})
    unlawful = await api.ask("GET", "/health/live", headers={"X-Request-ID": "a b"})

    assert chosen.headers["x-request-id"] == "mine-1"
    assert unlawful.headers["x-request-id"] not in ("", "a b")


async def test_all_metrics_are_there_under_the_names_that_are_known(engine: Engine, metrics: Metrics) -> None:
    metrics.answered("GET", "/x/", 200, 0.1)
    metrics.model_called("m", 1.0, Usage(1, 1, 0.1, 1))
    metrics.retries.add(("T",))
    run = await engine.run(await save(engine, PAID), {"start": {"n": 1}})
    await engine.cancel(run.run.id)
    names = {name for name, _ in await read(Exposition(metrics, engine.waiting))}

    assert metric_names() == {name for name in names if name.startswith("rowel_")}
    assert "process_resident_memory_bytes" in names


async def test_what_is_open_is_counted_once_in_a_while_however_often_somebody_asks(metrics: Metrics) -> None:
    counts = 0

    async def count(most: int) -> Waiting:
        nonlocal counts
        counts += 1
        return Waiting(1, 2, 3, {"RUNNING": 2}, 0)

    exposition = Exposition(metrics, count)
    await asyncio.gather(*(exposition.render() for _ in range(5)))

    assert counts == 1


async def test_while_the_store_is_away_the_rest_is_told(metrics: Metrics) -> None:
    async def count(most: int) -> Waiting:
        raise Unavailable("gone")

    found = await read(Exposition(metrics, count))

    assert at(found, "rowel_store_readable") == 0
    assert at(found, "rowel_runs_taken_up_total") == 0
    assert ("rowel_queue_depth", ()) not in found


async def test_a_worker_shows_its_metrics_at_a_door_of_its_own(metrics: Metrics) -> None:
    door = await open_door("127.0.0.1", 0, Exposition(metrics, None).render)
    port = door.sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        shown = await http.get("/metrics")
        other = await http.get("/run/x/")
    door.close()
    await door.wait_closed()

    assert shown.headers["content-type"] == MEDIA_TYPE
    assert at(parsed(shown.text), "rowel_runs_taken_up_total") == 0
    assert other.status_code == 404
    gc.collect()


def test_a_value_on_a_bound_counts_under_it() -> None:
    spread = Spread((1.0, 2.0))
    for value in (1.0, 1.5, 9.0):
        spread.add(value)

    assert list(spread.read()) == [((), [("1.0", 1.0), ("2.0", 2.0), ("+Inf", 3.0)], 11.5)]


def test_values_from_outside_are_few_and_short() -> None:
    known = Known()
    named = {known(f"{'m' * 100}{number}") for number in range(5)} | {known("a\nb")}

    assert named == {"m" * 64, "ab"}
    assert {known(str(number)) for number in range(2 * MOST_VALUES)} >= {"0", "other"}
    assert len({known(str(number)) for number in range(2 * MOST_VALUES)}) <= MOST_VALUES + 1
