"""What a run may be given, and that a refused start leaves no run behind."""

import base64

import pytest

from rowel.core.errors import InvalidInputs, NotFound
from rowel.core.status import RunStatus
from rowel.store.runs import Filter
from tests.support.flows import flow, given, of_type
from tests.support.house import save

ASKS = flow("start>end", start=given(name="string", age="int", note="Optional[str]"))
SVG = b"<svg/>"


def uri(media_type, data):
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


async def refused(engine, definition, inputs, **options):
    """Try both ways to start; return the message, having seen that there is no run."""
    workflow_id = await save(engine, definition)
    messages = set()
    for begin in (engine.start, engine.run):
        with pytest.raises(InvalidInputs) as caught:
            await begin(workflow_id, inputs, **options)
        messages.add(caught.value.message)
    assert await engine.list_runs(Filter(workflow_id=workflow_id), limit=10) == []
    (message,) = messages
    return message


async def test_required_fields_that_are_missing_are_named(engine):
    message = await refused(engine, ASKS, {"start": {"age": 3}})

    assert "name" in message
    assert "age" not in message
    assert "'start'" in message


@pytest.mark.parametrize("inputs", [None, {}, {"start": {}}])
async def test_the_input_nodes_entry_is_needed_when_its_schema_has_required_fields(engine, inputs):
    assert "age, name" in await refused(engine, ASKS, inputs)


@pytest.mark.parametrize("inputs", [None, {}, {"start": {}}])
async def test_without_required_fields_a_run_needs_no_inputs(engine, inputs):
    view = await engine.run(await save(engine, flow("start>end", start=given(note="Optional[str]"))), inputs)

    assert view.run.status is RunStatus.COMPLETED
    assert view.outputs["start"] == {}


async def test_a_value_of_a_wrong_type_is_refused_and_named(engine):
    message = await refused(engine, ASKS, {"start": {"name": "ann", "age": "three"}})

    assert "age" in message


async def test_null_is_lawful_in_any_field_of_a_field_map(engine):
    view = await engine.run(await save(engine, ASKS), {"start": {"name": None, "age": None}})

    assert view.outputs["start"] == {"name": None, "age": None}


async def test_fields_that_are_not_declared_are_handed_on(engine):
    view = await engine.run(await save(engine, ASKS), {"start": {"name": "ann", "age": 1, "more": [1]}})

    assert view.outputs["start"] == {"name": "ann", "age": 1, "more": [1]}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"output_schema": {"c": "string"}}, " c"),
        ({"output_schema": {"c": "string"}, "input_schema": {"b": "string"}}, " b"),
        (
            {
                "output_schema": {"c": "string"},
                "input_schema": {"b": "string"},
                "output_json_schema": '{"type": "object", "properties": {"a": {}}, "required": ["a"]}',
            },
            " a",
        ),
    ],
)
async def test_the_json_schema_wins_over_the_input_schema_and_that_over_the_output_schema(
    engine, config, message
):
    refusal = await refused(engine, flow("start>end", start=of_type("InputNode", **config)), None)

    assert f"fields{message}." in refusal


async def test_unenforced_schemas_let_any_type_pass_but_miss_what_is_missing(engine):
    loose = flow("start>end", start=of_type("InputNode", output_schema={"age": "int"}, enforce_schema=False))

    view = await engine.run(await save(engine, loose), {"start": {"age": "three"}})

    assert view.outputs["start"] == {"age": "three"}
    assert "age" in await refused(engine, loose, {"start": {}})


async def test_an_unknown_node_id_is_refused_and_named(engine):
    message = await refused(engine, flow("start>end"), {"start": {}, "nobody": {"x": 1}})

    assert "'nobody'" in message


async def test_inputs_for_a_node_that_takes_none_are_refused(engine):
    message = await refused(engine, flow("start>a a>end"), {"a": {"x": 1}})

    assert "'a'" in message
    assert "'start'" in message


async def test_what_is_given_to_a_node_must_be_an_object(engine):
    assert "must be an object" in await refused(engine, flow("start>end"), {"start": [1]})


async def test_values_that_json_cannot_say_are_refused(engine):
    assert "JSON" in await refused(engine, flow("start>end"), {"start": {"x": float("nan")}})


async def test_an_unknown_parent_run_is_refused_and_named(engine):
    message = await refused(engine, flow("start>end"), None, parent_run_id="made-up")

    assert "parent_run_id" in message
    assert "made-up" in message


async def test_a_known_parent_run_is_kept_and_the_run_is_listed_under_it(engine):
    workflow_id = await save(engine, flow("start>end"))
    parent = await engine.run(workflow_id, None)

    child = await engine.run(workflow_id, None, parent_run_id=parent.run.id)

    assert (await engine.get_run(child.run.id)).run.parent_run_id == parent.run.id
    found = await engine.list_runs(Filter(parent_run_id=parent.run.id), limit=10)
    assert [view.run.id for view in found] == [child.run.id]


async def test_an_unknown_workflow_is_not_found(engine):
    for begin in (engine.start, engine.run):
        with pytest.raises(NotFound):
            await begin("made-up", None)


async def test_inputs_come_back_as_they_were_given(engine):
    odd = {"big": 10**40, "text": "a\0b \ud83d ü 😀", "nested": {"list": [1.5, True, None, {"": ""}]}}
    workflow_id = await save(engine, flow("start>end"))

    view = await engine.get_run((await engine.run(workflow_id, {"start": odd})).run.id)

    assert view.run.initial_inputs == {"start": odd}
    assert view.outputs["end"] == {"start": odd}


async def test_a_data_uri_is_kept_as_a_file_and_replaced_by_its_path(engine):
    workflow_id = await save(engine, flow("start>end"))

    view = await engine.run(workflow_id, {"start": {"image": uri("image/svg+xml", SVG)}})

    path = view.outputs["start"]["image"]
    assert path.endswith(".svg")
    assert view.run.initial_inputs == {"start": {"image": path}}
    _, parts = await engine.open_file(path)
    assert b"".join([part async for part in parts]) == SVG


async def test_data_uris_are_found_inside_lists_and_objects(engine):
    workflow_id = await save(engine, flow("start>end"))
    inputs = {"images": [uri("image/png", b"1"), {"deep": uri("application/pdf", b"2")}]}

    view = await engine.run(workflow_id, {"start": inputs})

    first, second = view.outputs["start"]["images"]
    assert first.endswith(".png")
    assert second["deep"].endswith(".pdf")


@pytest.mark.parametrize(
    "text",
    [
        "data:",
        "data:image/png;base64,***",
        "data:image/png,plain",
        "see data:image/png;base64,AAAA",
        "data:x;base64,AA",
    ],
)
async def test_text_that_only_looks_like_a_data_uri_passes_unchanged(engine, text):
    view = await engine.run(await save(engine, flow("start>end")), {"start": {"text": text}})

    assert view.outputs["start"] == {"text": text}


async def test_files_become_a_field_of_the_nodes_input_declared_or_not(engine):
    view = await engine.run(
        await save(engine, ASKS),
        {"start": {"name": "ann", "age": 3}},
        files={"start": ["uploads/a/b.txt", "no/such/file"]},
    )

    assert view.outputs["start"]["files"] == ["uploads/a/b.txt", "no/such/file"]


async def test_files_alone_are_inputs_enough(engine):
    view = await engine.run(await save(engine, flow("start>end")), None, files={"start": ["a"]})

    assert view.outputs["start"] == {"files": ["a"]}


async def test_files_of_an_unknown_node_are_refused(engine):
    assert "'nobody'" in await refused(engine, flow("start>end"), None, files={"nobody": ["a"]})
