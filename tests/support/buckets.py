"""Buckets that speak S3 over HTTP, in this process: moto's, with a switch for trouble."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import boto3
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

#: Says of a request, by its method and path, with which status it is refused; None where it is not.
Trouble = Callable[[str, str], int | None]


@dataclass
class S3:
    """A server of buckets. `trouble` decides about each request."""

    port: int = 0
    trouble: Trouble | None = None
    #: Methods and paths, in the order in which they came.
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a process finds it."""
        return {
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
        }

    def make(self) -> Bucket:
        """A bucket of a test's own."""
        bucket = Bucket(self, f"rowel-{uuid4()}")
        bucket.client.create_bucket(Bucket=bucket.name)
        return bucket

    def answer(self, app: Any, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.asked.append((method, f"{path}?{environ['QUERY_STRING']}"))
        status = self.trouble(method, path) if self.trouble is not None else None
        if status is None:
            answer: Iterable[bytes] = app(environ, start_response)
            return answer
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response(f"{status} Trouble", [("Content-Length", "0")])
        return [b""]


@dataclass
class Bucket:
    """One bucket, seen from behind."""

    server: S3
    name: str

    @property
    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.server.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    @property
    def url(self) -> str:
        """What ROWEL_FILES_URL says."""
        return f"s3://{self.name}/some/prefix"

    def files(self) -> list[str]:
        """The files in it, as Rowel calls them."""
        found = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return [item["Key"].removeprefix("some/prefix/") for item in found]

    def unfinished(self) -> list[str]:
        """Uploads in parts that were neither finished nor aborted."""
        found = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        return [item["Key"] for item in found]


@contextmanager
def serve_s3() -> Iterator[S3]:
    """A server for as long as the block lasts."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = S3()
    moto = DomainDispatcherApplication(create_backend_app)

    def app(environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        return server.answer(moto, environ, start_response)

    listening = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
    server.port = listening.server_port
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
