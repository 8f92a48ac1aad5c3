"""What people write in a Python node, with the same result from both engines."""

from __future__ import annotations

import hashlib
import textwrap
from typing import Any

import pytest

ORDER = {
    "number": "A-17",
    "placed": "2026-03-01T10:00:00",
    "lines": [
        {"sku": "tea", "price": 4.5, "count": 2},
        {"sku": "cup", "price": 12.0, "count": 1},
    ],
    "note": "  Please call:  +49 30 1234  ",
}

#: name -> (code, inputs, result)
CORPUS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "arithmetic": (
        "return {'sum': 1 + 2, 'half': 3 / 2, 'floor': -7 // 2}",
        {},
        {"sum": 3, "half": 1.5, "floor": -4},
    ),
    "total of an order": (
        "return {'total': sum(line.price * line.count for line in input_model.Shop.lines)}",
        {"Shop": ORDER},
        {"total": 21.0},
    ),
    "a helper function": (
        """
        def total(lines):
            result = 0
            for line in lines:
                result += line.price * line.count
            return result

        return {"total": total(input_model.Shop.lines), "number": input_model.Shop.number}
        """,
        {"Shop": ORDER},
        {"total": 21.0, "number": "A-17"},
    ),
    "text": (
        """
        words = input_model.Shop.note.strip().lower().split()
        return {"first": words[0], "joined": "-".join(words), "title": " ".join(words).title()}
        """,
        {"Shop": ORDER},
        {"first": "please", "joined": "please-call:-+49-30-1234", "title": "Please Call: +49 30 1234"},
    ),
    "regular expressions": (
        r"""
        import re
        found = re.search(r"\+(\d+) (\d+)", input_model.Shop.note)
        return {"country": found.group(1), "digits": re.sub(r"\D", "", input_model.Shop.note)}
        """,
        {"Shop": ORDER},
        {"country": "49", "digits": "49301234"},
    ),
    "json": (
        """
        import json
        data = json.loads('{"a": [1, 2.5, null, true]}')
        return {"data": data, "text": json.dumps(data), "input": json.dumps(input_model.Shop.lines[0])}
        """,
        {"Shop": ORDER},
        {
            "data": {"a": [1, 2.5, None, True]},
            "text": '{"a": [1, 2.5, null, true]}',
            "input": '{"sku": "tea", "price": 4.5, "count": 2}',
        },
    ),
    "math": (
        "import math\nreturn {'root': math.sqrt(16), 'up': math.ceil(1.2), 'pi': round(math.pi, 3)}",
        {},
        {"root": 4.0, "up": 2, "pi": 3.142},
    ),
    "dates": (
        """
        from datetime import datetime, timedelta
        placed = datetime.fromisoformat(input_model.Shop.placed)
        due = placed + timedelta(days=14)
        return {"due": due.isoformat(), "year": due.year, "late": due > placed, "day": due.strftime("%d.%m.%Y")}
        """,
        {"Shop": ORDER},
        {"due": "2026-03-15T10:00:00", "year": 2026, "late": True, "day": "15.03.2026"},
    ),
    "counting": (
        """
        from collections import Counter, defaultdict
        groups = defaultdict(list)
        for line in input_model.Shop.lines:
            groups[line.count].append(line.sku)
        return {"letters": Counter("banana"), "groups": {str(key): value for key, value in groups.items()}}
        """,
        {"Shop": ORDER},
        {"letters": {"b": 1, "a": 3, "n": 2}, "groups": {"2": ["tea"], "1": ["cup"]}},
    ),
    "sorting": (
        """
        lines = sorted(input_model.Shop.lines, key=lambda line: -line.price)
        return {"skus": [line.sku for line in lines], "dearest": max(lines, key=lambda line: line["price"])}
        """,
        {"Shop": ORDER},
        {"skus": ["cup", "tea"], "dearest": ORDER["lines"][1]},
    ),
    "comprehensions": (
        """
        lines = input_model.Shop.lines
        return {
            "prices": {line.sku: line.price for line in lines},
            "many": [line.sku for line in lines if line.count > 1],
            "pairs": [[i, line.sku] for i, line in enumerate(lines, start=1)],
            "unique": sorted({len(line.sku) for line in lines}),
        }
        """,
        {"Shop": ORDER},
        {
            "prices": {"tea": 4.5, "cup": 12.0},
            "many": ["tea"],
            "pairs": [[1, "tea"], [2, "cup"]],
            "unique": [3],
        },
    ),
    "exceptions": (
        """
        def number(text):
            try:
                return int(text)
            except ValueError as error:
                return str(error)
            finally:
                seen.append(text)

        seen = []
        return {"numbers": [number("7"), number("seven")], "seen": seen}
        """,
        {},
        {"numbers": [7, "invalid literal for int() with base 10: 'seven'"], "seen": ["7", "seven"]},
    ),
    "a class": (
        """
        class Basket:
            def __init__(self):
                self.items = []

            def add(self, name, price=1):
                self.items.append((name, price))
                return self

            def total(self):
                return sum(price for _, price in self.items)

        basket = Basket().add("tea", 3).add("cup")
        return {"total": basket.total(), "items": basket.items}
        """,
        {},
        {"total": 4, "items": [["tea", 3], ["cup", 1]]},
    ),
    "match": (
        """
        match input_model.Event:
            case {"kind": "order", "number": number}:
                return {"order": number}
            case _:
                return {"order": None}
        """,
        {"Event": {"kind": "order", "number": 5}},
        {"order": 5},
    ),
    "formatting": (
        """
        line = input_model.Shop.lines[0]
        return {"f": f"{line.sku:>5}|{line.price:.2f}|{line.count!r}", "percent": "%s x%d" % (line.sku, line.count)}
        """,
        {"Shop": ORDER},
        {"f": "  tea|4.50|2", "percent": "tea x2"},
    ),
    "closures and loops": (
        """
        def counter():
            count = 0

            def step():
                nonlocal count
                count += 1
                return count

            return step

        step = counter()
        while step() < 5:
            pass
        return {"count": step()}
        """,
        {},
        {"count": 6},
    ),
    "unpacking": (
        """
        first, *rest = [1, 2, 3]
        merged = {**input_model.A, "b": 2}
        return {"first": first, "rest": rest, "merged": merged, "args": max(*rest)}
        """,
        {"A": {"a": 1}},
        {"first": 1, "rest": [2, 3], "merged": {"a": 1, "b": 2}, "args": 3},
    ),
    "async": (
        """
        import asyncio

        async def double(n):
            await asyncio.sleep(0)
            return 2 * n

        async def main():
            return await asyncio.gather(double(1), double(2))

        return {"doubled": list(asyncio.run(main()))}
        """,
        {},
        {"doubled": [2, 4]},
    ),
    "base64 and hashes": (
        """
        import base64, hashlib
        return {
            "encoded": base64.b64encode(b"tea").decode(),
            "digest": hashlib.sha256("tea".encode()).hexdigest()[:8],
        }
        """,
        {},
        {"encoded": "dGVh", "digest": hashlib.sha256(b"tea").hexdigest()[:8]},
    ),
    "tools": (
        """
        from functools import reduce
        from itertools import chain, groupby
        groups = {key: len(list(group)) for key, group in groupby("aab")}
        return {"product": reduce(lambda a, b: a * b, [1, 2, 3]), "chained": list(chain([1], [2])), "groups": groups}
        """,
        {},
        {"product": 6, "chained": [1, 2], "groups": {"a": 2, "b": 1}},
    ),
    "typed": (
        """
        from dataclasses import dataclass
        from typing import Optional

        @dataclass
        class Point:
            x: int
            y: Optional[int] = None

        point: Point = Point(3)
        return {"x": point.x, "y": point.y}
        """,
        {},
        {"x": 3, "y": None},
    ),
}


@pytest.mark.parametrize("name", CORPUS)
async def test_everyday_code_runs_alike_on_both_engines(run, name):
    code, inputs, result = CORPUS[name]

    assert await run(textwrap.dedent(code).strip("\n"), **inputs) == result


#: What Monty does not have.
FULL_PYTHON: dict[str, tuple[str, dict[str, Any]]] = {
    "inheritance": (
        """
        class Shape:
            def area(self):
                return 0

        class Square(Shape):
            def area(self):
                return 4

        return {"area": Square().area()}
        """,
        {"area": 4},
    ),
    "generators": (
        """
        def squares(n):
            for i in range(n):
                yield i * i

        return {"squares": list(squares(4))}
        """,
        {"squares": [0, 1, 4, 9]},
    ),
    "del": ("d = {'a': 1, 'b': 2}\ndel d['a']\nreturn d", {"b": 2}),
    "statistics": ("import statistics\nreturn {'mean': statistics.mean([1, 2])}", {"mean": 1.5}),
    "enums": (
        """
        from enum import Enum

        class Color(str, Enum):
            RED = "red"

        return {"color": Color.RED, "name": Color.RED.name}
        """,
        {"color": "red", "name": "RED"},
    ),
    "time zones": (
        """
        from datetime import datetime
        from zoneinfo import ZoneInfo
        return {"offset": datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")).utcoffset().total_seconds()}
        """,
        {"offset": 7200.0},
    ),
    "threads": (
        """
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(20) as pool:
            return {"doubled": list(pool.map(lambda n: 2 * n, range(3)))}
        """,
        {"doubled": [0, 2, 4]},
    ),
    "csv and urls": (
        """
        import csv, io
        from urllib.parse import urlencode
        rows = list(csv.DictReader(io.StringIO("a,b\\n1,2\\n")))
        return {"rows": rows, "query": urlencode({"q": "a b"})}
        """,
        {"rows": [{"a": "1", "b": "2"}], "query": "q=a+b"},
    ),
    "methods as values": (
        "d = {'b': 1, 'a': 2}\nreturn {'keys': sorted(d, key=d.get)}",
        {"keys": ["b", "a"]},
    ),
    "long sums": ("return {'sum': " + " + ".join(["input_model.A.one"] * 900) + "}", {"sum": 900}),
}


@pytest.mark.parametrize("name", FULL_PYTHON)
async def test_what_monty_lacks_runs_in_cpython(sandbox, name):
    code, result = FULL_PYTHON[name]

    assert await sandbox.call(textwrap.dedent(code).strip("\n"), {"A": {"one": 1}}, 20.0) == result
