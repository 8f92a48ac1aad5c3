"""What the operator sets is checked before anything begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rowel.core.errors import Invalid
from rowel.core.limits import Limit, Limits
from rowel.settings import Settings


def settings(**variables: str) -> Settings:
    return Settings.from_environment({f"ROWEL_{name}": value for name, value in variables.items()})


def test_without_variables_a_server_serves_this_machine_alone() -> None:
    found = Settings.from_environment({})

    assert found == Settings()
    assert (found.url(), found.data) == ("http://127.0.0.1:6080", Path("rowel-data"))
    assert found.hosts == {"localhost", "127.0.0.1", "[::1]"}


def test_every_variable_is_read() -> None:
    found = settings(
        HOST="0.0.0.0",
        PORT="0",
        DATA="~/rowel",
        DATABASE_URL="postgresql://ann:secret@db/rowel",
        FILES_URL="s3://bucket/prefix",
        ALLOWED_HOSTS="rowel.example, 10.0.0.1,",
        HTTP_ALLOW="localhost:8080,[::1]:9",
        SLOTS="3",
        QUEUE_LIMIT="5",
        BODY_LIMIT="100",
        DEFINITION_LIMIT="50",
        UPLOAD_LIMIT="1000",
    )

    assert (found.host, found.port, found.data) == ("0.0.0.0", 0, Path("~/rowel").expanduser())
    assert found.database_url == "postgresql://ann:secret@db/rowel"
    assert found.files_url == "s3://bucket/prefix"
    assert found.allowed_hosts == ("rowel.example", "10.0.0.1")
    assert found.http_allow == ("localhost:8080", "[::1]:9")
    assert (found.slots, found.queue_limit) == (3, 5)
    assert (found.body_limit, found.definition_limit, found.upload_limit) == (100, 50, 1000)


def test_what_the_command_line_says_counts_more() -> None:
    found = Settings.from_environment(
        {"ROWEL_PORT": "1", "ROWEL_HOST": "::1"}, port=2, host=None, data=Path("x")
    )

    assert (found.port, found.host, found.data) == (2, "::1", Path("x"))


def test_an_empty_variable_is_not_set() -> None:
    assert settings(PORT="", DATABASE_URL=" ", HTTP_ALLOW="").port == 6080


def test_nodes_see_the_other_variables() -> None:
    found = Settings.from_environment({"OPENAI_API_KEY": "sk", "ROWEL_DATABASE_URL": "postgresql://x@y/z"})

    assert found.environment == {"OPENAI_API_KEY": "sk"}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "x", "ROWEL_PORT is 'x'; it must be a port, from 0 to 65,535."),
        ("PORT", "65536", "ROWEL_PORT is '65536'"),
        ("PORT", "-1", "ROWEL_PORT is '-1'"),
        ("PORT", "9" * 9999, "ROWEL_PORT is '9999"),
        ("HOST", "a b", "ROWEL_HOST is 'a b'; it must be a host name or an address"),
        ("HTTP_ALLOW", "localhost", "ROWEL_HTTP_ALLOW is 'localhost'; it must be host:port"),
        ("HTTP_ALLOW", "a:1,b:0", "it must be host:port"),
        ("ALLOWED_HOSTS", "http://x", "ROWEL_ALLOWED_HOSTS is 'http://x'"),
        ("DATA", __file__, "it must be a directory"),
        ("DATA", "a\0b", "it must be a directory"),
        ("FILES_URL", "/srv/files", "it must be s3://bucket/prefix, or the same with gs or az"),
        ("SLOTS", "0", "ROWEL_SLOTS is '0'; it must be a number of runs, from 1 to 100,000."),
        ("RATE_LIMITS", "60", 'it must be JSON such as {"openai/gpt-4o": {"requests_per_minute": 500'),
        ("RATE_LIMITS", "{", "it must be JSON such as"),
        ("RATE_LIMITS", '{"gpt-4o": {"at_once": 1}}', "'gpt-4o' begins with no provider's name and a slash"),
        ("RATE_LIMITS", '{"openai/*": {"at_once": 0}}', "from 1 to 10,000 for at_once, for 'openai/*'"),
        ("RATE_LIMITS", '{"*": {"per_minute": 1}}', "it must be an object with requests_per_minute, "),
        ("BODY_LIMIT", "1e6", "ROWEL_BODY_LIMIT is '1e6'; it must be a number of bytes"),
    ],
)
def test_a_wrong_value_is_told_by_a_sentence(name: str, value: str, sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        settings(**{name: value})

    assert sentence in refused.value.message
    assert len(refused.value.message) < 400


def test_limits_of_models_are_read_by_the_names_that_models_are_counted_by() -> None:
    found = settings(
        RATE_LIMITS='{"gemini/x": {"requests_per_minute": 5}, "AZURE_AI/*": {"at_once": 2}, "*": {"at_once": 9}}'
    )

    assert found.rate_limits == Limits(
        {"gemini/x": Limit(requests_per_minute=5), "azure/*": Limit(at_once=2), "*": Limit(at_once=9)}
    )


def test_all_wrong_values_are_told_at_once() -> None:
    with pytest.raises(Invalid, match=r"ROWEL_HOST .* ROWEL_PORT "):
        settings(PORT="x", HOST="a b")


def test_no_password_is_shown() -> None:
    assert "secret" not in repr(settings(DATABASE_URL="postgresql://ann:secret@db/rowel"))
    with pytest.raises(Invalid) as refused:
        settings(DATABASE_URL="mysql://ann:secret@db/rowel")
    assert "secret" not in refused.value.message
    with pytest.raises(Invalid) as refused:
        settings(FILES_URL="s3://ann:secret@bucket/prefix")
    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket",
        "s3://my.bucket-1/a/b/",
        "gs://bucket/prefix",
        "az://container/prefix",
        "abfss://container@account.dfs.core.windows.net/prefix",
        "file:///srv/my files",
    ],
)
def test_files_may_lie_in_a_bucket_or_in_another_directory(url: str) -> None:
    assert settings(FILES_URL=url).files_url == url


@pytest.mark.parametrize(
    ("variables", "hosts"),
    [
        ({"ALLOWED_HOSTS": "Rowel.example"}, {"localhost", "127.0.0.1", "[::1]", "rowel.example"}),
        ({"HOST": "0.0.0.0"}, None),
        ({"HOST": "0.0.0.0", "ALLOWED_HOSTS": "a"}, {"localhost", "127.0.0.1", "[::1]", "0.0.0.0", "a"}),
        ({"HOST": "::1"}, {"localhost", "127.0.0.1", "[::1]"}),
    ],
)
def test_the_names_a_server_answers_to(variables: dict[str, Any], hosts: set[str] | None) -> None:
    assert settings(**variables).hosts == hosts


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:1"), ("0.0.0.0", "http://127.0.0.1:1"), ("::1", "http://[::1]:1")],
)
def test_where_a_server_is_found(host: str, url: str) -> None:
    assert settings(HOST=host).url(1) == url


def test_keys_that_this_version_would_not_ask_for_keep_it_from_starting() -> None:
    with pytest.raises(Invalid, match="ROWEL_API_KEYS is set, and this version has no API keys yet"):
        Settings.from_environment({"ROWEL_API_KEYS": "ann:admin:main:secret"})
    assert Settings.from_environment({"ROWEL_API_KEYS": " "}) == Settings.from_environment({})
