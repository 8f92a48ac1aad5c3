"""Files in multipart bodies are read while they arrive."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.requests import ClientDisconnect, Request

from rowel.api.multipart import open_file_part
from rowel.core.errors import Invalid, TooLarge
from tests.support.api import Api

BOUNDARY = b"----b0undary"


def part(disposition: str, content: bytes = b"", *headers: str) -> bytes:
    lines = [f"content-disposition: form-data; {disposition}", *headers]
    head = b"".join(line.encode() + b"\r\n" for line in lines)
    return b"--" + BOUNDARY + b"\r\n" + head + b"\r\n" + content + b"\r\n"


def body(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


class Sender:
    """Sends a body in pieces, and counts those that were taken."""

    def __init__(self, *pieces: bytes, hangs_up: bool = False) -> None:
        self._pieces = list(pieces)
        self._hangs_up = hangs_up
        self.taken = 0

    def request(self, content_type: str = f"multipart/form-data; boundary={BOUNDARY.decode()}") -> Request:
        headers = [(b"content-type", content_type.encode())]
        return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, self._receive)

    async def _receive(self) -> dict[str, object]:
        if not self._pieces and self._hangs_up:
            return {"type": "http.disconnect"}
        self.taken += 1
        piece = self._pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self._pieces) or self._hangs_up}


async def whole(parts: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in parts])


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_file_arrives_as_it_was_sent_however_the_network_cut_it(size: int) -> None:
    content = b"a,b\r\n1,2\r\n--" + BOUNDARY[:5] + b"\r\n--no boundary\r\n\x00\xff"
    sent = body(
        part('name="note"', b"before"),
        part('name="file"; filename="a.csv"', content, "content-type: text/csv"),
    )
    sender = Sender(*(sent[at : at + size] for at in range(0, len(sent), size)))

    file = await open_file_part(sender.request(), limit=1000)

    assert (file.filename, file.media_type) == ("a.csv", "text/csv")
    assert await whole(file.parts) == content


async def test_nothing_is_taken_from_the_network_before_it_is_asked_for() -> None:
    sender = Sender(part('name="file"; filename="a"')[:-2], b"one", b"two", b"\r\n--" + BOUNDARY + b"--\r\n")

    file = await open_file_part(sender.request(), limit=1000)

    assert sender.taken == 1
    assert await anext(file.parts) == b"one"
    assert sender.taken == 2


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('name="file"; filename="a;b.csv"', "a;b.csv"),
        ('name="file"; filename="a \\"b\\".csv"', 'a "b".csv'),
        ('name="file"; filename="é.csv"', "é.csv"),
        ("name=\"file\"; filename*=UTF-8''%C3%A9.csv", "é.csv"),
        ("name=file; filename=a.csv", "a.csv"),
        ('filename="a.csv"; name="file"', "a.csv"),
    ],
)
async def test_names_are_read_as_clients_write_them(disposition: str, name: str) -> None:
    file = await open_file_part(Sender(body(part(disposition))).request(), limit=10)

    assert file.filename == name
    assert await whole(file.parts) == b""


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        (body(), ["body", "file"]),
        (body(part('name="other"; filename="a.csv"', b"x")), ["body", "file"]),
        (body(part('name="file"', b"x")), ["body", "file"]),
        (body(part('name="file"; filename=""', b"x")), ["body", "file"]),
    ],
)
async def test_a_body_without_the_file_is_a_mistake_at_its_place(sent: bytes, place: list[str]) -> None:
    with pytest.raises(RequestValidationError) as refused:
        await open_file_part(Sender(sent).request(), limit=10)
    assert list(refused.value.errors()[0]["loc"]) == place


async def test_a_content_type_without_a_boundary_is_a_mistake() -> None:
    with pytest.raises(RequestValidationError, match="names no boundary"):
        await open_file_part(Sender(body()).request("multipart/form-data"), limit=10)


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data; boundary=x", "multipart/form-data; boundary=" + "x" * 300]
)
async def test_a_body_that_is_no_multipart_is_invalid(content_type: str) -> None:
    with pytest.raises(Invalid, match="not a valid multipart body"):
        await open_file_part(Sender(b"what is this").request(content_type), limit=10)


async def test_a_body_that_ends_within_the_file_is_invalid() -> None:
    file = await open_file_part(Sender(part('name="file"; filename="a"', b"x" * 9)[:-3]).request(), limit=10)

    with pytest.raises(Invalid, match="ends within the file"):
        await whole(file.parts)


async def test_a_client_that_hangs_up_within_the_file_has_sent_none() -> None:
    sender = Sender(part('name="file"; filename="a"', b"x" * 9)[:-3], hangs_up=True)
    file = await open_file_part(sender.request(), limit=10)

    with pytest.raises(ClientDisconnect):
        await whole(file.parts)


@pytest.mark.parametrize(("size", "fits"), [(10, True), (11, False)])
async def test_a_file_may_have_as_many_bytes_as_the_limit_says(size: int, fits: bool) -> None:
    file = await open_file_part(
        Sender(body(part('name="file"; filename="a"', b"x" * size))).request(), limit=10
    )

    if fits:
        assert len(await whole(file.parts)) == size
    else:
        with pytest.raises(TooLarge, match="10 bytes"):
            await whole(file.parts)


async def test_what_follows_the_file_is_passed_over() -> None:
    sent = body(part('name="file"; filename="a"', b"1"), part('name="file"; filename="b"', b"2"))
    file = await open_file_part(Sender(sent).request(), limit=10)

    assert (file.filename, await whole(file.parts)) == ("a", b"1")


async def test_a_file_is_kept_and_comes_back_as_a_download(api: Api) -> None:
    sent = {"file": ('../x/a "b".html', b"<script>", "text/html; charset=utf-8")}
    kept = (await api.ask("POST", "/files/", files=sent)).json()
    assert kept.keys() == {"path", "name", "size", "media_type"}
    assert (kept["size"], kept["media_type"]) == (8, "text/html")

    answer = await api.ask("GET", f"/files/{kept['path']}")

    assert answer.content == b"<script>"
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["content-length"] == "8"


async def test_a_media_type_that_no_header_may_say_is_not_kept(api: Api) -> None:
    kept = (await api.ask("POST", "/files/", files={"file": ("a.txt", b"x", "no type")})).json()

    assert kept["media_type"] == "text/plain"


async def test_a_file_that_is_forgotten_is_gone(api: Api) -> None:
    kept = (await api.ask("POST", "/files/", files={"file": ("a.txt", b"x")})).json()

    assert (await api.ask("DELETE", f"/files/{kept['path']}")).status_code == 204
    assert (await api.ask("GET", f"/files/{kept['path']}")).status_code == 404
    assert (await api.ask("DELETE", f"/files/{kept['path']}")).status_code == 404


@pytest.mark.parametrize(
    "path", ["rowel.db", "../rowel.db", "uploads/../../rowel.db", "datasets/x.csv", "uploads", "%00", "a%0A"]
)
async def test_only_files_of_this_kind_are_reached(api: Api, path: str) -> None:
    for method in ("GET", "DELETE"):
        assert (await api.ask(method, f"/files/{path}")).status_code == 404
