"""`input_model`: plain dicts and lists whose keys read as attributes, alike in both engines."""

from __future__ import annotations

import pytest

from rowel.core.errors import NodeFailed

CART = {
    "items": [{"sku": "tea", "tags": [{"name": "hot"}]}],
    "values": 3,
    "get": "got",
    "model_dump": "mine",
    "My field": {"deep": {"deeper": [1, {"x": None}]}},
    "empty": {},
}

#: code -> what it must give as "x"
READS = {
    "input_model.Cart.items[0].tags[0].name": "hot",
    "input_model.Cart.values": 3,
    "input_model.Cart.get": "got",
    "input_model.Cart['My field'].deep.deeper[1].x": None,
    "input_model['Cart']['items'][0]['sku']": "tea",
    "input_model.Cart['model_dump']": "mine",
    "input_model.Cart.get('missing', 'default')": "default",
    "'items' in input_model.Cart": True,
    "'Other' in input_model": False,
    "[name for name in input_model.Cart]": list(CART),
    "len(input_model.Cart)": len(CART),
    "bool(input_model.Cart.empty)": False,
    "sorted(input_model.Cart.keys())": sorted(CART),
    "[key for key, _ in input_model.Cart.items()][0]": "items",
    "isinstance(input_model.Cart, dict)": True,
    "type(input_model.Cart.items[0]) is dict": True,
    "input_model.Cart.items[0] == {'sku': 'tea', 'tags': [{'name': 'hot'}]}": True,
    "getattr(input_model.Cart, 'values')": 3,
    "getattr(input_model.Cart, 'nothing', 7)": 7,
    "hasattr(input_model, 'Cart')": True,
    "hasattr(input_model.Cart, 'nothing')": False,
    "f'{input_model.Cart.values:>3}|{input_model.Cart.items[0].sku}'": "  3|tea",
    "(lambda cart: cart.items[0].sku)(input_model.Cart)": "tea",
    "dict(input_model.Cart.items[0])['sku']": "tea",
    "{**input_model.Cart}['values']": 3,
    "input_model.model_dump() == {'Cart': input_model.Cart}": True,
    "input_model.Cart.items[0].model_dump()": CART["items"][0],
    "input_model.Cart.empty.model_dump_json()": "{}",
}


@pytest.mark.parametrize("read", READS)
async def test_fields_are_read_by_attribute_and_by_item_at_any_depth(run, read):
    assert await run(f"return {{'x': {read}}}", Cart=CART) == {"x": READS[read]}


async def test_the_whole_input_goes_out_as_it_came_in(run):
    values = {
        "big": 2**200,
        "small": -(2**64),
        "zero": 0.0,
        "text": "a\0b ü 😀",
        "none": None,
        "yes": True,
        "list": [[]],
    }

    assert await run("return input_model.A", A=values) == values


async def test_a_dump_shares_nothing_with_the_input(run):
    code = """dump = input_model.A.model_dump()
dump["list"].append(2)
return {"dump": dump, "input": input_model.A}"""

    assert await run(code, A={"list": [1]}) == {"dump": {"list": [1, 2]}, "input": {"list": [1]}}


async def test_a_field_that_is_not_there_is_named_with_those_that_are(run):
    with pytest.raises(NodeFailed, match="no field 'B' here") as failed:
        await run("return {'x': input_model.B}", A={})

    assert failed.value.message == "AttributeError: there is no field 'B' here (there is: 'A')"


async def test_attributes_of_other_things_are_left_alone(run):
    code = """from datetime import date

class Total:
    def __init__(self):
        self.items = []
        self._count = 2

total = Total()
total.items.append(date(2026, 1, 2).year)
total.extra = 5
total._count += 1
return {"items": total.items, "extra": total.extra, "count": total._count}"""

    assert await run(code) == {"items": [2026], "extra": 5, "count": 3}


async def test_an_authors_own_names_stay_his(run):
    code = """def print(text):
    return text + "!"

def getattr(a, b):
    return b

return {"print": print("hi"), "getattr": getattr(1, 2)}"""

    assert await run(code) == {"print": "hi!", "getattr": 2}


async def test_lone_surrogates_in_an_input_can_be_read(sandbox):
    result = await sandbox.call(
        "return {'length': len(input_model.A.text)}", {"A": {"text": "a\ud800"}}, 20.0
    )

    assert result == {"length": 2}
