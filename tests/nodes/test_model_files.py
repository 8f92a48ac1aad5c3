from __future__ import annotations

import pytest

from rowel.core.errors import NodeFailed
from rowel.nodes.clients.llm.files import Attachment, read_attachment
from tests.support.blobs import Blobs
from tests.support.providers import Reply


async def read(reference, *, blobs=None, http=None, images_by_url=False):
    return await read_attachment(reference, blobs=blobs or Blobs(), http=http, images_by_url=images_by_url)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("data:image/png;base64,aGk=", Attachment("image/png", b"hi")),
        ("DATA:Image/PNG;BASE64,aGk=", Attachment("image/png", b"hi")),
        ("data:text/plain;charset=utf-8;base64,aGk=", Attachment("text/plain", b"hi")),
        ("data:text/csv,a%2Cb", Attachment("text/csv", b"a,b")),
        ("data:,hi", Attachment("text/plain", b"hi")),
    ],
)
async def test_a_data_uri_holds_its_file(uri, expected):
    assert await read(uri) == expected


@pytest.mark.parametrize(
    "uri", ["data:image/png;base64", "data:image/png;base64,***", "data:image/png;base64,aGk"]
)
async def test_a_broken_data_uri_is_refused(uri):
    with pytest.raises(NodeFailed, match="not a valid data URI"):
        await read(uri)


@pytest.mark.parametrize(
    ("path", "data", "media_type"),
    [
        ("uploads/a.pdf", b"x", "application/pdf"),
        ("a.PNG", b"x", "image/png"),
        ("a.md", b"x", "text/markdown"),
        ("a.webp", b"x", "image/webp"),
        ("no-ending", b"%PDF-1.7 ...", "application/pdf"),
        ("no-ending", b"\x89PNG\r\n\x1a\n...", "image/png"),
        ("a.unheard-of", b"plain text", "text/plain"),
        ("no-ending", b"\xff\xfe\x00", "application/octet-stream"),
        ("no-ending", b"", "application/octet-stream"),
    ],
)
async def test_a_file_of_rowels_own_is_read_and_its_type_found(path, data, media_type):
    assert await read(path, blobs=Blobs({path: data})) == Attachment(media_type, data)


async def test_a_file_that_is_not_there_fails():
    with pytest.raises(NodeFailed, match="there is no file"):
        await read("../../etc/passwd")


async def test_a_picture_stays_an_address_where_the_provider_fetches_it():
    url = "https://example.com/cat.jpg?size=1"

    assert await read(url, images_by_url=True) == Attachment("image/jpeg", url=url)


async def test_a_picture_is_fetched_where_the_provider_does_not(http, providers):
    providers.on("/cat.jpg", Reply(body=b"meow", headers={"content-type": "image/jpeg"}))

    assert await read(f"{providers.url}/cat.jpg", http=http) == Attachment("image/jpeg", b"meow")


@pytest.mark.parametrize(
    ("declared", "media_type"),
    [
        ("application/pdf; version=2", "application/pdf"),
        ("application/octet-stream", "text/csv"),
        ("", "text/csv"),
    ],
)
async def test_a_document_is_fetched_and_its_type_is_the_declared_one(http, providers, declared, media_type):
    providers.on("/table.csv", Reply(body=b"a,b", headers={"content-type": declared}))

    found = await read(f"{providers.url}/table.csv", http=http, images_by_url=True)

    assert found == Attachment(media_type, b"a,b")


@pytest.mark.parametrize(("status", "retryable"), [(404, False), (403, False), (429, True), (503, True)])
async def test_a_file_that_can_not_be_fetched_fails(http, providers, status, retryable):
    providers.on("/a.pdf", Reply(status=status))

    with pytest.raises(NodeFailed, match=f"HTTP {status}") as failed:
        await read(f"{providers.url}/a.pdf?token=secret", http=http)

    assert failed.value.retryable == retryable
    assert "secret" not in failed.value.message
