"""deploy/ says what Rowel understands, publishes nothing, and leaves the sandboxes what they need.

No image is built here and no unit is started: what these files ask for is held to the code.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from rowel.app import LAST_S
from rowel.cli.main import app
from rowel.settings import LOOPBACK, PREFIX, Settings
from tests.support.deployment import (
    DEPLOY,
    UNITS,
    MissingVariable,
    example_variables,
    image_environment,
    instructions,
    last_stage,
    read_compose,
    read_unit,
)
from tests.support.source import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SECRETS = {"POSTGRES_PASSWORD": "0123abcd"}
#: Those for other commands than `serve` and `worker` are no settings of a process.
KNOWN = {PREFIX + field.name.upper() for field in fields(Settings)}
ROWELS = ["server", "worker"]


def command_of(words: list[str]) -> Any:
    """The command that these words begin with. Fails where Rowel has no such command or option."""
    command = get_command(app).commands[words[0]]  # type: ignore[attr-defined]  # a group, by its own account
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words[1:] if word.startswith("-")} <= known
    return command


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


# All of it


def test_every_variable_of_ours_is_a_setting() -> None:
    texts = {path: path.read_text() for path in DEPLOY.rglob("*") if path.is_file()}
    named = {word for text in texts.values() for word in re.findall(r"\bROWEL_[A-Z_]*[A-Z]\b", text)}

    assert len(named) > 5
    assert named - KNOWN == set()


def test_the_example_of_an_environment_is_one_that_rowel_takes_and_shows_the_defaults() -> None:
    variables = example_variables()
    settings = Settings.from_environment(variables)

    assert settings.is_on_postgres
    for name in ("host", "port", "slots", "concurrency", "batch_concurrency", "queue_limit"):
        assert variables[PREFIX + name.upper()] == str(getattr(Settings(), name))


def test_the_example_sets_nothing_by_itself() -> None:
    text = (DEPLOY / "rowel.env.example").read_text()

    assert [line for line in text.splitlines() if line and not line.startswith("#")] == []


# The image


def test_the_image_installs_locked_packages_alone() -> None:
    installs = re.findall(
        r"pip\S* [^&]*?install ([^&]*)", " && ".join(rest for word, rest in instructions() if word == "RUN")
    )

    assert len(installs) == 3
    for words in map(str.split, installs):
        assert "--require-hashes" in words or {"--no-deps", "--no-index"} <= set(words)
        for lock in words:
            assert not lock.endswith(".txt") or (ROOT / lock).is_file()


def test_the_builder_gets_what_the_wheel_is_made_of_and_nothing_else() -> None:
    copied = {
        source.rstrip("/")
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {PROJECT["project"]["readme"], *wheel["force-include"]}
    needed |= {package.split("/")[0] for package in wheel["packages"]}
    lines = (ROOT / ".dockerignore").read_text().splitlines()

    assert copied == needed | {"pyproject.toml", "requirements"}
    assert {line.removeprefix("!").rstrip("/") for line in lines if line.startswith("!")} == copied
    assert "*" in lines


def test_who_runs_the_image_is_no_root_and_has_the_data_for_its_own() -> None:
    image = last_stage()
    user = image["USER"].partition(":")[0]

    assert int(user) > 0
    assert f"--uid {user} " in image["RUN"]
    assert image["VOLUME"] == image["WORKDIR"] == image_environment()["ROWEL_DATA"]


def test_the_image_serves_and_ends_on_a_signal_that_drains() -> None:
    image = last_stage()

    assert json.loads(image["ENTRYPOINT"]) == ["rowel"]
    command_of(json.loads(image["CMD"]))
    assert image["STOPSIGNAL"] == "SIGTERM"
    assert image["EXPOSE"] == str(Settings().port)


def test_the_image_listens_for_what_is_published_and_refuses_foreign_names() -> None:
    settings = Settings.from_environment(image_environment())

    assert settings.host not in LOOPBACK
    assert settings.hosts is not None
    assert "rowel.example" not in settings.hosts


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server that answers a look at its life with this status; its port."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health/live" else 404)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def look(port: int) -> int:
    """What the image's health check says of a server at this port."""
    _, _, words = last_stage()["HEALTHCHECK"].partition("CMD ")
    python, *rest = json.loads(words)
    assert python == "python"
    done = subprocess.run(
        [sys.executable, *rest], env={"ROWEL_PORT": str(port)}, capture_output=True, check=False
    )
    return done.returncode


def test_the_health_check_tells_a_server_that_lives_from_others() -> None:
    with answering(200) as port:
        assert look(port) == 0
    assert look(port) == 1
    with answering(503) as port:
        assert look(port) == 1


# Compose


@pytest.fixture
def services() -> dict[str, Any]:
    found: dict[str, Any] = read_compose(SECRETS)["services"]
    return found


def test_compose_asks_for_the_password_in_a_sentence() -> None:
    with pytest.raises(MissingVariable, match=r"POSTGRES_PASSWORD into deploy/\.env"):
        read_compose({})


def test_compose_has_a_postgres_a_server_and_two_workers(services: dict[str, Any]) -> None:
    assert set(services) == {"postgres", "server", "worker"}
    assert services["worker"]["deploy"]["replicas"] == 2
    for name in ROWELS:
        service = services[name]
        command_of(service["command"])
        assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_server_and_workers_share_a_database_and_their_files(services: dict[str, Any]) -> None:
    server, worker = (
        Settings.from_environment({**image_environment(), **services[name]["environment"]}) for name in ROWELS
    )

    assert server.is_on_postgres
    assert SECRETS["POSTGRES_PASSWORD"] in str(server.database_url)
    assert worker.database_url == server.database_url
    assert worker.data == server.data
    assert services["server"]["volumes"] == services["worker"]["volumes"] == [f"data:{server.data}"]
    assert set(read_compose(SECRETS)["volumes"]) == {"data", "postgres"}


def test_files_may_lie_in_a_bucket_for_server_and_workers_alike() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}
    services = read_compose({**SECRETS, **keys}, bucket=True)["services"]
    server, worker = (Settings.from_environment(services[name]["environment"]) for name in ROWELS)

    assert server.files_url == worker.files_url == "s3://bucket/prefix"
    assert keys.items() <= server.environment.items()
    with pytest.raises(MissingVariable, match="AWS_ACCESS_KEY_ID"):
        read_compose(SECRETS, bucket=True)


def test_compose_publishes_the_server_alone_and_on_loopback_alone(services: dict[str, Any]) -> None:
    (published,) = services["server"]["ports"]
    host, port, inside = published.split(":")

    assert host in LOOPBACK
    assert int(port) == Settings().port
    assert inside == services["server"]["environment"]["ROWEL_PORT"]
    assert [name for name in services if name != "server" and "ports" in services[name]] == []


def test_compose_starts_each_after_what_it_needs(services: dict[str, Any]) -> None:
    needs = {name: set(services[name].get("depends_on", ())) for name in services}
    conditions = [need for name in ROWELS for need in services[name]["depends_on"].values()]

    assert needs == {"postgres": set(), "server": {"postgres"}, "worker": {"postgres", "server"}}
    assert conditions == [{"condition": "service_healthy"}] * 3
    assert services["postgres"]["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]
    # The server's is the image's; a worker answers no HTTP.
    assert "healthcheck" not in services["server"]
    assert services["worker"]["healthcheck"] == {"disable": True}


def test_compose_lets_tasks_end_and_starts_again_what_ended(services: dict[str, Any]) -> None:
    for name in ROWELS:
        assert seconds(services[name]["stop_grace_period"]) >= Settings().grace_s + LAST_S
        assert services[name]["init"] is True
    assert {service["restart"] for service in services.values()} == {"unless-stopped"}


def test_containers_hold_no_capability_and_may_do_what_the_sandbox_needs(services: dict[str, Any]) -> None:
    for name in ROWELS:
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["cap_add"] == ["SYS_PTRACE"]
        assert services[name]["security_opt"] == ["no-new-privileges:true"]


def test_what_holds_secrets_is_ignored_by_git_and_docker() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    for file in ("deploy/.env", "deploy/rowel.env"):
        assert any(fnmatch(f"/{file}", pattern) for pattern in ignored)
        assert f"!{file.partition('/')[0]}" not in (ROOT / ".dockerignore").read_text()


# systemd


def unit(name: str) -> dict[str, list[str]]:
    (path,) = [path for path in UNITS if path.name == name]
    return read_unit(path)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_a_command_that_rowel_has(path: Path) -> None:
    (line,) = read_unit(path)["ExecStart"]
    program, *words = shlex.split(line)

    assert program == "/opt/rowel/bin/rowel"
    command_of(words)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_lets_tasks_end_also_in_their_processes(path: Path) -> None:
    settings = read_unit(path)

    assert seconds(settings["TimeoutStopSec"][0]) >= Settings().grace_s + LAST_S
    assert settings["KillSignal"] == ["SIGTERM"]
    assert settings["KillMode"] == ["mixed"]
    assert settings["Restart"] == ["on-failure"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_keeps_the_sandboxes_and_the_datasets_working(path: Path) -> None:
    """Each was seen to break something: docs/operations.md tells."""
    settings = read_unit(path)
    calls = set(" ".join(settings["SystemCallFilter"]).split())

    assert {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"} <= calls
    assert {"@system-service", "seccomp", "pidfd_getfd"} <= calls
    assert "AF_UNIX" in settings["RestrictAddressFamilies"][0].split()
    for name in ("RestrictSUIDSGID", "MemoryDenyWriteExecute", "RemoveIPC"):
        assert settings[name] == ["no"]
    assert "DynamicUser" not in settings


def test_the_units_differ_in_what_they_start_alone() -> None:
    server, worker = unit("rowel.service"), unit("rowel-worker@.service")
    own = {"Description", "After", "ExecStart", "Environment", "EnvironmentFile"}

    assert {name: value for name, value in server.items() if name not in own} == {
        name: value for name, value in worker.items() if name not in own
    }


def test_the_units_give_rowel_the_directory_that_they_may_write() -> None:
    for path in UNITS:
        settings = read_unit(path)
        variables = dict(word.split("=") for word in settings["Environment"][0].split())
        assert variables["ROWEL_DATA"] == f"/var/lib/{settings['StateDirectory'][0]}"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    copies = []
    for path in UNITS:
        # It looks whether the program is there.
        text = path.read_text().replace("/opt/rowel/bin/rowel", sys.executable)
        copies.append(tmp_path / path.name)
        copies[-1].write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, copies)],
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
