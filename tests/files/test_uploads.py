from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from rowel.core.errors import NodeFailed, NotFound, TooLarge
from rowel.files import uploads
from rowel.files.store import FileStore
from rowel.files.uploads import (
    StoredBlobs,
    find_upload,
    media_type_of,
    replace_data_uris,
    save_data_uri,
    save_upload,
)
from tests.support.streams import stream

PNG = base64.b64encode(b"\x89PNG").decode()


async def test_an_upload_keeps_its_name_and_gets_a_path_of_ours(store: FileStore) -> None:
    upload = await save_upload(store, "../../My Paper.pdf", None, stream(b"%PDF"))
    assert (upload.name, upload.size, upload.media_type) == ("My Paper.pdf", 4, "application/pdf")
    assert upload.path.startswith("uploads/")
    assert upload.path.endswith("/My_Paper.pdf")
    assert await store.read(upload.path) == b"%PDF"


async def test_two_uploads_of_one_name_do_not_collide(store: FileStore) -> None:
    first = await save_upload(store, "a.txt", None, stream(b"1"))
    second = await save_upload(store, "a.txt", None, stream(b"2"))
    assert [await store.read(one.path) for one in (first, second)] == [b"1", b"2"]


async def test_what_the_client_says_of_the_type_is_believed(store: FileStore) -> None:
    upload = await save_upload(store, "a.bin", "image/heic", stream(b"x"))
    assert upload.media_type == "image/heic"


async def test_an_upload_past_the_limit_is_refused(store: FileStore) -> None:
    with pytest.raises(TooLarge):
        await save_upload(store, "a.txt", None, stream(b"12345"), limit=4)


async def test_an_upload_is_found_again_by_its_path(store: FileStore) -> None:
    path = (await save_upload(store, "a.txt", None, stream(b"12"))).path
    found = await find_upload(store, path)
    assert (found.path, found.name, found.size, found.media_type) == (path, "a.txt", 2, "text/plain")


@pytest.mark.parametrize(
    "path", ["datasets/d.csv", "uploads/../datasets/d.csv", "/etc/passwd", "uploads/none/a.txt"]
)
async def test_other_files_are_no_uploads(store: FileStore, path: str) -> None:
    await store.write("datasets/d.csv", stream(b"secret"))
    with pytest.raises(NotFound):
        await find_upload(store, path)
    with pytest.raises(NodeFailed):
        await StoredBlobs(store).read(path)


@pytest.mark.parametrize(
    ("uri", "extension", "data"),
    [
        (f"data:image/png;base64,{PNG}", ".png", b"\x89PNG"),
        (f"data:IMAGE/JPEG;base64,{PNG}", ".jpg", b"\x89PNG"),
        (f"DATA:image/png;BASE64,{PNG}", ".png", b"\x89PNG"),
        ("data:text/plain;charset=utf-8;base64,aGk=", ".txt", b"hi"),
        ("data:application/pdf;base64,", ".pdf", b""),
        ("data:application/x-unheard-of;base64,aGk=", ".bin", b"hi"),
    ],
)
async def test_a_data_uri_is_kept_as_a_file_of_its_type(
    store: FileStore, uri: str, extension: str, data: bytes
) -> None:
    path = await save_data_uri(store, uri)
    assert path is not None
    assert path.endswith(extension)
    assert await store.read(path) == data


@pytest.mark.parametrize(
    "text",
    [
        "data:",
        "data: the new oil",
        "data:image/png,abc",
        "data:image/png;base64,a b",
        "data:image/png;base64,abc",
        "data:image/png;base64,aGk=x",
        "data:image/png;base64,aGk=\n",
        "data:;base64,aGk=",
        "data:image/png;base64,aGk==",
        "data:image/png;base64,=",
        "data:image/png;base64,aG-_",
        "data:image/\u017fvg;base64,aGk=",
        "data:image/png;base64,\u212a\u212a\u212a\u212a",
        "data:png;base64,aGk=",
        " data:image/png;base64,aGk=",
        "Data is base64",
    ],
)
async def test_text_that_only_looks_like_a_data_uri_passes_unchanged(store: FileStore, text: str) -> None:
    assert await save_data_uri(store, text) is None
    assert await replace_data_uris({"a": [text]}, store) == {"a": [text]}


async def test_data_uris_are_replaced_wherever_they_stand(store: FileStore) -> None:
    uri = f"data:image/png;base64,{PNG}"
    value = await replace_data_uris({"a": {"b": [uri, 1, None]}, "c": uri, "d": "text"}, store)
    assert value["a"]["b"][0].endswith(".png")
    assert value["a"]["b"][1:] == [1, None]
    assert value["c"].endswith(".png")
    assert value["d"] == "text"


async def test_nodes_may_keep_files_and_read_them(store: FileStore) -> None:
    blobs = StoredBlobs(store)
    path = await blobs.write(b"data", suffix=".bin")
    assert await blobs.read(path) == b"data"


plain = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(value=plain)
async def test_values_without_data_uris_are_left_alone(store: FileStore, value: Any) -> None:
    assert await replace_data_uris(value, store) == value


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.PNG", "image/png"),
        ("a.jpeg", "image/jpeg"),
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("a.webp", "image/webp"),
        ("a.tar.gz", "application/gzip"),
        ("data:text/html,x", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_the_media_type_follows_the_extension_alone(name: str, media_type: str) -> None:
    assert media_type_of(name) == media_type


@pytest.mark.parametrize(
    ("media_type", "extension"),
    [
        ("image/svg+xml", ".svg"),
        ("text/csv", ".csv"),
        ("text/html", ".html"),
        ("video/mp4", ".mp4"),
        ("audio/x-wav", ".wav"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx"),
    ],
)
async def test_usual_types_have_their_usual_extension(
    store: FileStore, media_type: str, extension: str
) -> None:
    path = await save_data_uri(store, f"data:{media_type};base64,{PNG}")
    assert path is not None
    assert path.endswith(f"/data{extension}")


async def test_a_node_reads_no_file_that_is_too_large_for_memory(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = StoredBlobs(store)
    path = await blobs.write(b"12345", suffix=".bin")
    monkeypatch.setattr(uploads, "MAX_READ", 5)
    assert await blobs.read(path) == b"12345"
    monkeypatch.setattr(uploads, "MAX_READ", 4)
    with pytest.raises(NodeFailed, match=r"'data\.bin' has 5 bytes; a node can read 4"):
        await blobs.read(path)
