"""What the operator sets, from the environment and the command line. Read by `app` and `cli` only."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rowel.core.errors import Invalid
from rowel.core.faults import Fault, parse_faults
from rowel.core.limits import Limits

PREFIX = "ROWEL_"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

MIB = 1024**2
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[?[0-9A-Fa-f:.]{2,45}\]?")
_HOST_AND_PORT = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_FILES_URL = re.compile(
    r"(?:s3|s3a|gs|az|azure|adl|abfs|abfss)://[A-Za-z0-9][A-Za-z0-9._@-]{1,254}(?:/[A-Za-z0-9._/=-]*)?|file:///.*"
)
_DATABASE_URL = re.compile(r"(?:postgresql|postgres)://.+|sqlite:///.+", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How one Rowel serves. Built by `from_environment`, which checks everything."""

    host: str = "127.0.0.1"
    #: 0: a free one.
    port: int = 6080
    #: The data directory: the database, datasets, outputs, uploads.
    data: Path = Path("rowel-data")
    #: A Postgres to use instead of the data directory's SQLite file. It may hold a password.
    database_url: str | None = field(default=None, repr=False)
    #: A bucket, or another directory, for the files instead of the data directory's.
    files_url: str | None = None
    #: Names beside those of this machine under which browsers may reach the server.
    allowed_hosts: tuple[str, ...] = ()
    #: `host:port` that HTTP nodes may reach although they are private.
    http_allow: tuple[str, ...] = ()
    #: Where templates lie; None: those that come with Rowel.
    templates: Path | None = None
    #: Runs that move at a time, and runs that may wait for that.
    slots: int = 256
    queue_limit: int = 10_000
    #: What a worker does at a time: single runs, and lanes of batches.
    concurrency: int = 32
    batch_concurrency: int = 8
    #: Seconds, where many processes share a Postgres: between signs of life; without one until a worker counts as
    #: dead; between looks for dead workers, for jobs, for forgotten runs, and for news that were missed.
    heartbeat_s: float = 3.0
    stalled_s: float = 10.0
    sweep_s: float = 3.0
    fetch_poll_s: float = 0.25
    reconcile_s: float = 10.0
    fallback_s: float = 5.0
    #: How often a run is taken over before it is held responsible for the ends of its servers.
    max_recoveries: int = 20
    #: Seconds between looks for runs that nobody moves and for pauses that run out, and those that running tasks get
    #: to end when the process is asked to.
    recovery_each_s: float = 10.0
    pauses_each_s: float = 1.0
    grace_s: float = 25.0
    #: How often models may be called, and by how many at once; None: as often as providers allow.
    rate_limits: Limits | None = None
    #: Lines of `text` or of `json`.
    log_format: str = "text"
    #: Where a worker shows its metrics; None: nowhere.
    metrics_port: int | None = None
    #: Bytes.
    body_limit: int = 32 * MIB
    definition_limit: int = 8 * MIB
    upload_limit: int = 8 * 1024 * MIB
    #: Characters of JSON.
    cache_limit: int = 256 * MIB
    #: Harm that this process does to itself; for tests.
    faults: tuple[Fault, ...] = ()
    #: The variables that nodes may see: providers' keys and addresses.
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], **overrides: Any) -> Settings:
        """Read the `ROWEL_*` variables; an override that is not None counts instead of its variable.

        A variable that is empty counts as not set. Raises `Invalid` with one sentence per wrong value.
        """
        problems = list(_unkept_promises(environ))
        values: dict[str, Any] = {"environment": _for_nodes(environ)}
        for name, read in _READERS.items():
            variable = PREFIX + name.upper()
            given = overrides.get(name)
            text = environ.get(variable, "").strip() if given is None else given
            if text == "":
                continue
            try:
                values[name] = read(text)
            except ValueError as error:
                problems.append(f"{variable} is {_shown(name, text)}; it must be {error}.")
        if problems:
            raise Invalid(" ".join(problems))
        return cls(**values)

    @property
    def is_on_postgres(self) -> bool:
        """Whether the data lie where many processes can share them."""
        return self.database_url is not None and not self.database_url.startswith("sqlite:")

    @property
    def hosts(self) -> frozenset[str] | None:
        """What a Host header may say; None: anything (the server listens beyond this machine, no names are set)."""
        if self.host not in LOOPBACK and not self.allowed_hosts:
            return None
        return frozenset(
            {"localhost", "127.0.0.1", "[::1]", _in_url(self.host), *map(_in_url, self.allowed_hosts)}
        )

    def url(self, port: int | None = None) -> str:
        """Where the server is found on this machine; `port` is the one it got where the setting is 0."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host
        return f"http://{_in_url(host)}:{self.port if port is None else port}"


def _unkept_promises(environ: Mapping[str, str]) -> Iterator[str]:
    """What an operator relies on and this version doesn't do: better no server than an open one."""
    if environ.get("ROWEL_API_KEYS", "").strip():
        yield (
            "ROWEL_API_KEYS is set, and this version has no API keys yet. Unset it, and keep the server on loopback "
            "or behind a proxy that asks for a login."
        )


#: What may hold a password is not shown.
_UNSHOWN = {"database_url": "no database's URL", "files_url": "no URL of a bucket or a directory"}


def _for_nodes(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith(PREFIX)}


def _shown(name: str, text: Any) -> str:
    """The wrong value as a message may show it."""
    return _UNSHOWN.get(name) or repr(str(text)[:128])


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host.lower()


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError("a host name or an address such as 127.0.0.1")
    return text.strip("[]")


def _number(least: int, most: int, what: str) -> Callable[[Any], int]:
    def read(text: Any) -> int:
        if not re.fullmatch("[0-9]{1,19}", str(text)) or not least <= int(text) <= most:
            raise ValueError(f"{what}, from {least:,} to {most:,}")
        return int(text)

    return read


def _seconds(text: Any) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.05 <= seconds <= 3600:
        raise ValueError("a number of seconds, from 0.05 to 3,600")
    return seconds


def _directory(text: str | Path) -> Path:
    path = Path(text).expanduser()
    if "\0" in str(path) or (path.exists() and not path.is_dir()):
        raise ValueError("a directory")
    return path


def _database_url(text: str) -> str:
    if not _DATABASE_URL.fullmatch(text):
        raise ValueError("postgresql://user:password@host/database")
    return text


def _files_url(text: str) -> str:
    if not _FILES_URL.fullmatch(text):
        raise ValueError("s3://bucket/prefix, or the same with gs or az, or file:///directory")
    return text


def _hosts(text: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(_host(item) for item in _items(text))


def _hosts_and_ports(text: str | Iterable[str]) -> tuple[str, ...]:
    items = tuple(_items(text))
    for item in items:
        found = _HOST_AND_PORT.fullmatch(item)
        if found is None or not 1 <= int(found[1]) <= 65_535:
            raise ValueError("host:port, several of them with commas between")
    return items


def _items(text: str | Iterable[str]) -> Iterator[str]:
    parts = text.split(",") if isinstance(text, str) else text
    return (part.strip() for part in parts if part.strip())


def _log_format(text: str) -> str:
    if text not in ("text", "json"):
        raise ValueError("text or json")
    return text


def _rate_limits(text: str) -> Limits:
    # Most commands need no providers.
    from rowel.nodes.clients.ratelimits import read_limits

    try:
        given = json.loads(text)
    except ValueError:
        given = None
    return read_limits(given)


_BYTES = _number(1, 2**50, "a number of bytes")
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "host": _host,
    "port": _number(0, 65_535, "a port"),
    "data": _directory,
    "database_url": _database_url,
    "files_url": _files_url,
    "allowed_hosts": _hosts,
    "http_allow": _hosts_and_ports,
    "templates": _directory,
    "slots": _number(1, 100_000, "a number of runs"),
    "queue_limit": _number(1, 10_000_000, "a number of runs"),
    "concurrency": _number(1, 10_000, "a number of runs"),
    "batch_concurrency": _number(1, 10_000, "a number of lanes"),
    "heartbeat_s": _seconds,
    "stalled_s": _seconds,
    "sweep_s": _seconds,
    "fetch_poll_s": _seconds,
    "reconcile_s": _seconds,
    "fallback_s": _seconds,
    "max_recoveries": _number(1, 1_000_000, "a number of times"),
    "recovery_each_s": _seconds,
    "pauses_each_s": _seconds,
    "grace_s": _seconds,
    "rate_limits": _rate_limits,
    "log_format": _log_format,
    "metrics_port": _number(1, 65_535, "a port"),
    "body_limit": _BYTES,
    "definition_limit": _BYTES,
    "upload_limit": _BYTES,
    "cache_limit": _BYTES,
    "faults": parse_faults,
}
