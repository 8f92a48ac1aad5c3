"""A real Postgres server of our own: made for the session, on loopback, gone when pytest is gone."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

REMEDY = "Install Debian's package: apt-get install postgresql"

_OPTIONS = (
    " -c max_connections=200"
    " -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c log_timezone=UTC -c timezone=UTC"
)
#: Speed over safety: what this server holds is worth nothing after the session.
_HASTE = "-c fsync=off -c full_page_writes=off -c autovacuum=off"

# The server lives while this shell's standard input is open. A pytest that ends, or is killed, closes it. The shell
# is no child of pytest's, so that who kills pytest and all its children leaves the server its keeper.
_DETACHED = 'exec 3<&0; /bin/sh -c "$@" <&3 3<&- &'
_KEEPER = """
initdb -D data -U rowel -A password --pwfile=password -E UTF8 --locale=C.UTF-8 --no-sync >log 2>&1 &&
pg_ctl -D data -l log -s -w -t 60 -o "$1" start >>log 2>&1 && echo ready $$ || echo failed
cat >/dev/null
pg_ctl -D data -s -w -m immediate stop >>log 2>&1
cd / && rm -rf "$2"
"""

_THROW_OUT: LiteralString = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
_LOOK: LiteralString = """
SELECT relname, relkind::text, relnatts, relchecks, relhastriggers, pg_relation_size(oid) > 500000
FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT proname, 'function', pronargs, 0, false, false
FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'settings', 'setting', count(*), 0, false, false
FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY 1, 2
"""
#: Without triggers, which would note what is deleted.
_EMPTY: LiteralString = """
SET session_replication_role = replica;
DO $$
DECLARE one text;
BEGIN
  FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
    EXECUTE format('DELETE FROM %I', one);
  END LOOP;
  PERFORM setval(format('%I', sequencename)::regclass, start_value, false)
  FROM pg_sequences WHERE schemaname = 'public';
END $$
"""


def programs() -> Path | None:
    """The directory of the newest Postgres server programs here, or None."""
    debian = sorted(Path("/usr/lib/postgresql").glob("[0-9]*/bin"), key=lambda path: float(path.parent.name))
    on_path = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    return next((path for path in reversed([*on_path, *debian]) if (path / "postgres").exists()), None)


@dataclass
class Postgres:
    """A running server. `url(name)` is the address of one of its databases."""

    port: int
    password: str
    #: Its files, and the log.
    home: Path
    #: The process that ends the server and removes its files.
    keeper: int
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    #: Copies of a template that were used and are as new, and what a new one looks like.
    _cleaned: dict[str, list[str]] = field(default_factory=dict)
    _looks: dict[str, object] = field(default_factory=dict)

    def url(self, database: str) -> str:
        return f"postgresql://rowel:{self.password}@127.0.0.1:{self.port}/{database}"

    def restart(self, mode: str = "immediate") -> None:
        """Stop the server (`immediate`: as a crash does; `fast`: as an administrator does) and start it again."""
        binaries = programs()
        assert binaries is not None
        subprocess.run(
            [binaries / "pg_ctl", "-D", "data", "-l", "log", "-s", "-w", "-m", mode, "restart"],
            cwd=self.home,
            env={"PATH": f"{binaries}:{os.defpath}", "LC_ALL": "C.UTF-8"},
            user=_server_user(),
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def create(self, template: str | None = None) -> str:
        """Make a database with a new name, empty or as a copy of `template`, and return its name."""
        name = f"test_{next(self._numbers)}"
        self._run("CREATE DATABASE {} TEMPLATE {}", name, template or "template0")
        return name

    def drop(self, database: str) -> None:
        """Remove a database, throwing out whoever is still connected."""
        self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", database)

    @contextmanager
    def database(self, template: str | None = None) -> Iterator[str]:
        """The URL of a database that exists for the length of the block: empty, or like `template`."""
        cleaned = self._cleaned.get(template or "")
        name = cleaned.pop() if cleaned else self.create(template)
        try:
            yield self.url(name)
        finally:
            if template in self._looks:
                self._clean(name, template)
            else:
                self.drop(name)

    def _clean(self, database: str, template: str) -> None:
        """Empty a copy of a template, which takes a tenth of the time of a new one. A database whose tables were
        changed, or which has grown, is dropped. It gets a new name, so that whoever still has the old one is lost."""
        name = f"test_{next(self._numbers)}"
        with self._connect("postgres") as connection:
            old, new = sql.Identifier(database), sql.Identifier(name)
            connection.execute(sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false").format(old))
            connection.execute(_THROW_OUT, (database,))
            connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(old, new))
            connection.execute(sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true").format(new))
        with self._connect(name) as connection:
            is_alike = _look(connection) == self._looks[template]
            if is_alike:
                connection.execute(_EMPTY)
        if is_alike:
            self._cleaned.setdefault(template, []).append(name)
        else:
            self.drop(name)

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(self.url(database), autocommit=True)

    def template(self, prepare: Callable[[str], None]) -> str:
        """Make a database, let `prepare` fill it by its URL, and return its name for `create`."""
        name = self.create()
        prepare(self.url(name))
        with self._connect(name) as connection:
            self._looks[name] = _look(connection)
        return name

    def _run(self, statement: str, *names: str) -> None:
        with self._connect("postgres") as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _look(connection: psycopg.Connection) -> object:
    """What tells whether a database's tables are those of another one, and whether it is small still."""
    found = connection.execute(_LOOK).fetchall()
    is_migrated = any(name == "alembic_version" for name, *_ in found)
    return found, is_migrated and connection.execute("SELECT * FROM alembic_version").fetchall()


@contextmanager
def server(binaries: Path, *, is_durable: bool = False) -> Iterator[Postgres]:
    """Run a server for the length of the block, with fsync where it `is_durable`. Raises RuntimeError with its log
    where it won't start."""
    keeper, postgres = start(binaries, is_durable=is_durable)
    try:
        yield postgres
    finally:
        _end(keeper)


def start(binaries: Path, *, is_durable: bool = False) -> tuple[subprocess.Popen[bytes], Postgres]:
    """Start a server and return its keeper, whose closed standard input ends it, and the server."""
    # A port found free may be taken before the server binds it.
    for attempt in range(3):
        try:
            return _start(binaries, _free_port(), "" if is_durable else _HASTE)
        except RuntimeError:
            if attempt == 2:
                raise
    raise AssertionError("unreachable")


def _start(binaries: Path, port: int, haste: str) -> tuple[subprocess.Popen[bytes], Postgres]:
    user = _server_user()
    home = _home(user)
    password = secrets.token_urlsafe(16)
    (home / "password").write_text(password)
    keeper = subprocess.Popen(
        ["/bin/sh", "-c", _DETACHED, "sh", _KEEPER, "keeper", f"{haste}{_OPTIONS} -c port={port}", str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=home,
        env={"PATH": f"{binaries}:{os.defpath}", "LC_ALL": "C.UTF-8"},
        start_new_session=True,
        user=user,
        group=user,
        extra_groups=[] if user else None,
    )
    keeper.wait()
    assert keeper.stdout is not None
    match keeper.stdout.readline().split():
        case [b"ready", pid]:
            return keeper, Postgres(port, password, home, int(pid))
    log = (home / "log").read_text(errors="replace")
    _end(keeper)
    raise RuntimeError(f"Postgres did not start:\n{log}")


def _end(keeper: subprocess.Popen[bytes]) -> None:
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    keeper.stdin.close()
    keeper.stdout.read()  # The keeper's standard output ends with it.
    keeper.stdout.close()


def _server_user() -> str | None:
    # Postgres refuses to run as root.
    return "postgres" if os.geteuid() == 0 else None


def _home(user: str | None) -> Path:
    # Root's own directory for temporary files may be closed to others.
    home = Path(tempfile.mkdtemp(prefix="rowel-postgres-", dir="/tmp" if user else None))
    if user:
        shutil.chown(home, user, user)
    return home


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
