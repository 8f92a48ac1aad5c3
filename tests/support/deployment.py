"""What lies in deploy/, read as those read it for whom it is meant."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.source import ROOT

DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"
COMPOSE = DEPLOY / "compose.yaml"
EXAMPLE = DEPLOY / "rowel.env.example"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))

_VARIABLE = re.compile(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")


class MissingVariable(Exception):
    """What compose says where a variable that must be set is not."""


def read_compose(environment: Mapping[str, str], *, bucket: bool = False) -> dict[str, Any]:
    """The compose file with its variables filled in; `bucket`: with one. Raises `MissingVariable`."""
    text = COMPOSE.read_text()
    if bucket:
        text = re.sub(r"^(  )#(?=[A-Z_]+: )", r"\1", text, flags=re.MULTILINE)
    read: dict[str, Any] = _filled(yaml.safe_load(text), environment)
    return read


def _filled(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(inner, environment) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, environment) for inner in value]
    return _VARIABLE.sub(lambda found: _word(found, environment), value) if isinstance(value, str) else value


def _word(found: re.Match[str], environment: Mapping[str, str]) -> str:
    name, sign, word = found.groups()
    if value := environment.get(name):
        return value
    if sign == ":?":
        raise MissingVariable(word)
    return word or ""


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in order, each with what stands behind its word in one line."""
    text = re.sub("^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    lines = (line.partition(" ") for line in text.splitlines() if line.strip())
    return [(word, rest.strip()) for word, _, rest in lines]


def last_stage() -> dict[str, str]:
    """The instructions of the image itself by their word; the last of a kind counts."""
    found = instructions()
    begins = max(index for index, (word, _) in enumerate(found) if word == "FROM")
    return dict(found[begins:])


def image_environment() -> dict[str, str]:
    """What the image sets."""
    return dict(word.split("=", 1) for word in shlex.split(last_stage()["ENV"]))


def read_unit(path: Path) -> dict[str, list[str]]:
    """A unit's settings; a name may come several times."""
    settings: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        name, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            settings.setdefault(name, []).append(value)
    return settings


def example_variables() -> dict[str, str]:
    """What the example of an environment file would set without its number signs."""
    found = re.findall(r"^#?([A-Z][A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE)
    return dict(found)
