"""The examples run as they are, against loopback stand-ins for what they call."""

from __future__ import annotations

import base64
import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowel import Rowel
from rowel.api.templates import read_templates
from rowel.app import find_templates
from rowel.client import RunPaused
from rowel.core.parsing import parse_definition
from rowel.nodes.registry import load_registry
from tests.support.providers import Call, Providers, Reply
from tests.support.source import ROOT

EXAMPLES = ROOT / "examples"
REFERENCES = Path(os.environ.get("REFERENCE_WORKFLOWS", ROOT.parent / "shared" / "reference-workflows"))


@pytest.fixture
def world() -> Iterator[Providers]:
    with Providers() as providers:
        yield providers


@pytest.fixture
def rowel(tmp_path: Path, world: Providers) -> Rowel:
    return Rowel(tmp_path / "data", environment=world.environment, http_allow=[f"127.0.0.1:{world.port}"])


def example(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """An example's definition and the fields of its input node."""
    directory = EXAMPLES / name
    definition = json.loads((directory / "workflow.json").read_text())["definition"]
    return definition, json.loads((directory / "inputs.json").read_text())


def all_examples() -> list[str]:
    return sorted(path.parent.name for path in EXAMPLES.glob("*/workflow.json"))


def test_there_are_at_least_four_each_with_inputs_and_a_page() -> None:
    assert len(all_examples()) >= 4
    for name in all_examples():
        assert (EXAMPLES / name / "inputs.json").exists()
        assert (EXAMPLES / name / "README.md").read_text().startswith("# ")


async def test_a_small_invoice_is_booked_at_once(rowel: Rowel) -> None:
    definition, fields = example("invoice-approval")
    async with rowel:
        workflow = await rowel.workflows.create("invoices", definition)
        outputs = await rowel.run(workflow.id, {"input_node": fields})
    assert outputs["output_node"] == {
        "invoice_id": "2026-0815",
        "vendor": "Nordlicht Druck GmbH",
        "amount": 1249.9,
        "currency": "EUR",
        "booked": True,
        "approved_by": "limit",
    }


async def test_a_large_invoice_waits_for_a_person_who_gives_a_name(rowel: Rowel) -> None:
    definition, fields = example("invoice-approval")
    async with rowel:
        workflow = await rowel.workflows.create("invoices", definition)
        with pytest.raises(RunPaused) as raised:
            await rowel.run(workflow.id, {"input_node": {**fields, "amount": "$ 10,000.00"}})
        run_id = raised.value.run.id
        with pytest.raises(Exception, match="approved_by"):
            await rowel.decide(run_id, "APPROVE", user_id="ann")
        await rowel.decide(run_id, "APPROVE", user_id="ann", inputs={"approved_by": "Ann"})
        async for _ in (await _live(rowel, run_id)).events():
            pass
        run = await rowel.get_run(run_id)
    assert run.outputs is not None
    assert run.outputs["output_node"]["approved_by"] == "Ann"
    assert run.outputs["output_node"]["amount"] == 10000.0


async def _live(rowel: Rowel, run_id: str) -> Any:
    return rowel.attach(await rowel.get_run(run_id))


async def test_of_a_hundred_invoices_exactly_one_waits(rowel: Rowel, tmp_path: Path) -> None:
    definition, _ = example("invoice-approval")
    async with rowel:
        workflow = await rowel.workflows.create("invoices", definition)
        batch = await rowel.batch(workflow.id, EXAMPLES / "invoice-approval" / "invoices.csv")
        counts = [seen async for seen in batch.progress()][-1]
        assert (counts.total, counts.completed, counts.paused) == (100, 99, 1)
        rows = await rowel.runs(workflow.id, status="PAUSED", page_size=100)
        (row,) = [run for run in rows if run.parent_run_id == batch.id]
        await rowel.decide(row.id, "APPROVE", user_id="ann", inputs={"approved_by": "Ann"})
        assert [seen async for seen in batch.progress()][-1].completed == 100
        lines = (await batch.download(tmp_path / "out.jsonl")).read_text().splitlines()
    booked = [json.loads(line)["output_node"] for line in lines]
    assert [row["approved_by"] for row in booked].count("Ann") == 1
    assert max(row["amount"] for row in booked) == 48750.0


async def test_a_ticket_is_sorted_by_the_model(rowel: Rowel, world: Providers) -> None:
    world.answer(
        lambda call: json.dumps(
            {"category": "billing", "urgent": "twice" in call.user, "summary": "s", "reply": "r"}
        )
    )
    definition, fields = example("ticket-triage")
    async with rowel:
        workflow = await rowel.workflows.create("triage", definition)
        outputs = await rowel.run(workflow.id, {"input_node": fields})
    assert outputs["output_node"] == {"queue": "on-call", "category": "billing", "summary": "s", "reply": "r"}
    assert "Charged twice" in world.asked[0].user


async def test_orders_get_their_amount_in_euros_and_one_that_cannot_is_an_error_record(
    rowel: Rowel, world: Providers, tmp_path: Path
) -> None:
    definition, _ = example("currency-enrichment")
    (service,) = [node for node in definition["nodes"] if node["id"] == "service"]
    service["config"]["values"]["url"] = f"{world.url}/v1"
    file = EXAMPLES / "currency-enrichment" / "orders.csv"
    orders = list(csv.DictReader(file.read_text().splitlines()))
    for order in orders:
        world.on(f"/v1/{order['date']}", exchange_rate)
    async with rowel:
        workflow = await rowel.workflows.create("orders", definition)
        batch = await rowel.batch(workflow.id, file)
        counts = [seen async for seen in batch.progress()][-1]
        lines = (await batch.download(tmp_path / "out.jsonl")).read_text().splitlines()
    assert (counts.completed, counts.failed) == (19, 1)
    for order, line in zip(orders, map(json.loads, lines), strict=True):
        if order["currency"] == "XXX":
            assert line["error"] == "Node 'rates' failed: the call was answered with HTTP 404"
        else:
            rate = 1 if order["currency"] == "EUR" else 0.5
            assert line["output_node"]["order"] == order["order"]
            assert line["output_node"]["amount_eur"] == pytest.approx(
                float(order["amount"]) * rate, abs=0.011
            )
    assert {call.query["base"][0] for call in world.calls} == {order["currency"] for order in orders} - {
        "EUR"
    }


def exchange_rate(call: Call) -> Reply:
    """Half a euro for everything that exists."""
    if call.query["base"] == ["XXX"]:
        return Reply(status=404, json={"message": "not found"})
    return Reply(json={"base": call.query["base"][0], "rates": {"EUR": 0.5}})


async def test_a_text_is_refined_three_times_each_on_the_last_version(rowel: Rowel, world: Providers) -> None:
    world.answer(lambda call: call.user.rsplit("\n", 1)[-1] + "!")
    definition, fields = example("text-refiner")
    async with rowel:
        workflow = await rowel.workflows.create("refine", definition)
        outputs = await rowel.run(workflow.id, {"input_node": {**fields, "text": "Hi"}})
    assert outputs["output_node"] == {"text": "Hi!!!"}
    assert len(world.asked) == 3


PAPER = "data:application/pdf;base64," + base64.b64encode(b"%PDF-1.4 a paper").decode()

REFERENCE_INPUTS = {
    "jokes": ("joke_generator", {"topic": "compilers", "audience": "engineers"}),
    "models": ("ollama_model_comparison", {"input_1": "Make a joke about peanuts."}),
    "a blog post": ("Slack_Summarizer", {"blogpost_url": "https://example.com/post", "paper_pdf_file": ""}),
    "a paper": ("Slack_Summarizer", {"blogpost_url": "", "paper_pdf_file": PAPER}),
}
EXPECTED_NODES = {
    "jokes": {"input_node", "JokeDrafter", "JokeRefiner", "SingleShotJoke"},
    "models": {"input_prompt", "Llama3_2", "Gemma2", "Mistral_03"},
    "a blog post": {"FirecrawlScrapeNode_1", "SingleLLMCallNode_1", "CoalesceNode_1", "SlackNotifyNode_1"},
    "a paper": {"SingleLLMCallNode_2", "SingleLLMCallNode_3", "CoalesceNode_1", "SlackNotifyNode_1"},
}


@pytest.mark.skipif(
    not REFERENCES.is_dir(), reason="the workflows of PySpur's users are not beside this checkout"
)
@pytest.mark.parametrize("case", sorted(REFERENCE_INPUTS))
async def test_workflows_that_pyspur_exported_run_unchanged(
    rowel: Rowel, world: Providers, case: str
) -> None:
    name, fields = REFERENCE_INPUTS[case]
    exported = json.loads((REFERENCES / f"{name}.json").read_text())
    async with rowel:
        workflow = await rowel.workflows.create(exported["name"], exported["definition"])
        outputs = await rowel.run(workflow.id, {exported["definition"]["nodes"][0]["id"]: fields})
    assert workflow.definition["links"] == exported["definition"]["links"]
    assert set(outputs) - {"input_node", "RouterNode_1"} == EXPECTED_NODES[case] - {"input_node"}
    assert len(world.to("/api/chat.postMessage")) == (1 if name == "Slack_Summarizer" else 0)


@pytest.mark.parametrize(
    ("legal", "finance", "decision"),
    [("APPROVE", "APPROVE", "signed"), ("APPROVE", "DECLINE", "refused"), ("DECLINE", "DECLINE", "refused")],
)
async def test_a_contract_is_signed_when_both_agree(
    rowel: Rowel, legal: str, finance: str, decision: str
) -> None:
    definition, fields = example("contract-signoff")
    async with rowel:
        workflow = await rowel.workflows.create("contracts", definition)
        run = await rowel.start(workflow.id, {"input_node": fields})
        assert (await run.wait()).status == "PAUSED"
        await rowel.decide(run.id, finance, user_id="fin", node_id="finance")
        await rowel.decide(run.id, legal, user_id="lea", node_id="legal")
        ended = await run.wait()
        history = await rowel.pause_history(run.id)
    assert ended.status == "COMPLETED"
    assert ended.outputs is not None
    assert ended.outputs["output_node"] == {
        "contract": "K-2026-118",
        "partner": "Lindqvist Logistik",
        "decision": decision,
    }
    assert {pause.node_id: pause.resume_user_id for pause in history} == {"legal": "lea", "finance": "fin"}


@pytest.mark.parametrize("name", all_examples())
def test_an_examples_page_says_in_three_lines_what_it_shows(name: str) -> None:
    title, empty, *lines = (EXAMPLES / name / "README.md").read_text().splitlines()
    assert title == f"# {json.loads((EXAMPLES / name / 'workflow.json').read_text())['name']}"
    assert empty == ""
    assert lines.index("") == 3
    assert any(line.startswith("    rowel import ") for line in lines)


def test_the_server_offers_every_example_as_a_template() -> None:
    found = find_templates()
    assert found is not None
    assert [template.file_name for template in read_templates(found)] == [
        f"{name}/workflow.json" for name in all_examples()
    ]


@pytest.mark.parametrize("name", all_examples())
def test_an_examples_inputs_and_columns_are_those_that_its_input_node_asks_for(name: str) -> None:
    definition, fields = example(name)
    (first, *_) = parse_definition(definition, load_registry()).nodes
    node = load_registry().build(first)
    assert node.input_schema is not None
    assert set(fields) == set(node.input_schema.fields)
    assert not node.input_problems(fields)
    for file in (EXAMPLES / name).glob("*.csv"):
        assert set(file.read_text().splitlines()[0].split(",")) == set(node.input_schema.fields)
