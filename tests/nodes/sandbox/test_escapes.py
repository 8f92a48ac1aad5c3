"""Ways out of a sandbox, each judged by what happens outside."""

from __future__ import annotations

import os
import platform
import socket

import pytest

from rowel.core.errors import NodeFailed
from tests.support.processes import descendants, eventually

SECRET = "the-operators-secret"


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "secret"
    path.write_text(SECRET)
    path.chmod(0o644)
    return path


async def attempt(run, code, **inputs) -> object:
    """What the code got, be it an exception."""
    indented = "\n".join("    " + line for line in code.splitlines())
    try:
        return await run(
            f"try:\n{indented}\nexcept Exception as error:\n    return {{'refused': str(error)}}", **inputs
        )
    except NodeFailed as failed:
        return {"failed": failed.message}


READING = [
    "return {'got': open(input_model.A.path).read()}",
    "import os\nreturn {'got': os.read(os.open(input_model.A.path, 0), 100).decode()}",
    "from pathlib import Path\nreturn {'got': Path(input_model.A.path).read_text()}",
    "import os\nreturn {'got': os.listdir(os.path.dirname(input_model.A.path))}",
    "import shutil\nshutil.copy(input_model.A.path, '/tmp/rowel-copy')\nreturn {'got': open('/tmp/rowel-copy').read()}",
    "import os\nos.chdir('/')\nreturn {'got': open('..' + input_model.A.path).read()}",
    "import os\nfd = os.open(input_model.A.path, os.O_PATH)\nreturn {'got': open(f'/proc/self/fd/{fd}').read()}",
    "import mmap, os\nreturn {'got': bytes(mmap.mmap(os.open(input_model.A.path, 0), 0, prot=1)).decode()}",
    "import sqlite3\nreturn {'got': sqlite3.connect(input_model.A.path).execute('select 1').fetchall()}",
]


@pytest.mark.parametrize("code", READING)
async def test_files_outside_are_not_read(run, secret_file, code):
    got = await attempt(run, code, A={"path": str(secret_file)})

    assert set(got) & {"refused", "failed"}, got
    assert SECRET not in str(got)
    assert secret_file.name not in str(got.get("got"))


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/proc/self/environ",
        "/proc/1/environ",
        "/proc/self/maps",
        "/dev/mem",
        "/sys/kernel/notes",
    ],
)
async def test_the_machines_own_files_are_not_read(run, path):
    got = await attempt(run, "return {'got': len(open(input_model.A.path, 'rb').read())}", A={"path": path})

    assert "got" not in got


WRITING = [
    "open(input_model.A.path, 'w').write('x')",
    "import os\nos.mkdir(input_model.A.path)",
    "import os\nos.symlink('/etc/passwd', input_model.A.path)",
    "import os\nos.mkfifo(input_model.A.path)",
    "import os\nos.rename(input_model.A.secret, input_model.A.path)",
    "import os\nos.link(input_model.A.secret, input_model.A.path)",
    "import os\nos.unlink(input_model.A.secret)",
    "import os\nos.truncate(input_model.A.secret, 0)",
    "import os\nos.chmod(input_model.A.secret, 0o777)",
    "import os\nos.utime(input_model.A.secret, (0, 0))",
    "import os\nos.chown(input_model.A.secret, 12345, 12345)",
    "import os\nos.setxattr(input_model.A.secret, 'user.mine', b'1')",
    "import tempfile\ntempfile.mkstemp(dir=__import__('os').path.dirname(input_model.A.path))",
]


@pytest.mark.parametrize("code", WRITING)
async def test_nothing_outside_is_written(run, secret_file, code):
    before = secret_file.stat()

    got = await attempt(
        run,
        f"{code}\nreturn {{'got': 1}}",
        A={"path": str(secret_file.parent / "new"), "secret": str(secret_file)},
    )

    assert "got" not in got
    assert [path.name for path in secret_file.parent.iterdir()] == ["secret"]
    assert secret_file.read_text() == SECRET
    assert (secret_file.stat().st_mode, secret_file.stat().st_mtime) == (before.st_mode, before.st_mtime)


#: Calls by number and in the machine's older languages, around every library.
RAW = {
    "by number": "result = libc.syscall(90, path, 0o777)",
    "the newest way": "result = libc.syscall(452, -100, path, 0o777, 0)",
    "as x32": "result = libc.syscall(0x40000000 | 90, path, 0o777)",
    "as i386": """
import mmap
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
page = libc.mmap(None, 4096, 7, 0x20 | 0x02 | 0x40, -1, 0)
ctypes.memmove(page + 1024, path + b"\\0", len(path) + 1)
chmod = b"\\x53\\xb8\\x0f\\x00\\x00\\x00\\xbb" + (page + 1024).to_bytes(4, "little")
chmod += b"\\xb9\\xff\\x01\\x00\\x00\\xcd\\x80\\x5b\\xc3"
ctypes.memmove(page, chmod, len(chmod))
result = ctypes.CFUNCTYPE(ctypes.c_int)(page)()""",
}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="speaks this processor's own language")
@pytest.mark.parametrize("way", RAW)
async def test_no_raw_call_changes_a_file(on_cpython, secret_file, way):
    code = f"import ctypes\nlibc = ctypes.CDLL(None)\npath = input_model.A.path.encode()\n{RAW[way]}"

    await attempt(on_cpython, f"{code}\nreturn {{'result': result}}", A={"path": str(secret_file)})

    assert secret_file.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "code",
    [
        "import os\nreturn {'got': dict(os.environ)}",
        "import os\nreturn {'got': os.environb and str(os.environb)}",
        "import os\nreturn {'got': os.getenv('ROWEL_TEST_KEY')}",
        "import os\nreturn {'got': open(f'/proc/{os.getppid()}/environ').read()}",
        "import sys, os\nreturn {'got': str(sys.argv) + os.getcwd() + str(sys.path)}",
    ],
)
async def test_the_servers_environment_is_not_seen(run, monkeypatch, code):
    monkeypatch.setenv("ROWEL_TEST_KEY", SECRET)

    got = await attempt(run, code)

    assert SECRET not in str(got)
    assert "ROWEL" not in str(got).upper().replace("_ROWEL", "")


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.kill(os.getppid(), 0)",
        "import os\nos.kill(input_model.A.server, 0)",
        "import os\nos.killpg(os.getpgid(os.getppid()), 0)",
        "import os, signal\nsignal.pidfd_send_signal(os.pidfd_open(input_model.A.server), 0)",
        "import ctypes\nassert ctypes.CDLL(None).ptrace(16, input_model.A.server, 0, 0) == 0, 'ptrace'",
        "import subprocess\nsubprocess.run(['/bin/sh', '-c', 'true'], check=True)",
        "import os\nassert os.system('true') == 0, 'system'",
        "import os\nos.execv('/bin/ls', ['ls'])",
        "import os\nos.posix_spawn('/bin/ls', ['ls'], {})",
        "import os\nos.setpriority(os.PRIO_PROCESS, 0, -5)",
        "import os\nos.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (100_000, 100_000))",
        "import time\ntime.clock_settime(time.CLOCK_REALTIME, 0)",
        "import socket\nsocket.sethostname('mine')",
        "import os\nos.memfd_create('memory nobody counts')",
        "import os\nos.setuid(12345)\nos.setgid(12345)",
        "import os\nos.chroot('/usr')",
        "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0, 'unshare'",
        "import ctypes\nassert ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, 0) == 0, 'mount'",
    ],
)
async def test_the_machine_and_its_processes_are_out_of_reach(run, code):
    got = await attempt(run, f"{code}\nreturn {{'got': 1}}", A={"server": os.getpid()})

    assert "got" not in got


async def test_no_connection_is_made(run):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        code = (
            "import socket\nsocket.create_connection(('127.0.0.1', input_model.A.port), 2)\nreturn {'got': 1}"
        )

        got = await attempt(run, code, A={"port": server.getsockname()[1]})

        assert "got" not in got
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_no_datagram_is_sent(run):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        code = """import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", input_model.A.port))
return {"got": 1}"""

        got = await attempt(run, code, A={"port": receiver.getsockname()[1]})

        assert "got" not in got
        with pytest.raises(BlockingIOError):
            receiver.recv(10)


@pytest.mark.parametrize("kind", ["path", "abstract"])
async def test_no_unix_socket_is_reached(run, tmp_path, kind):
    address = str(tmp_path / "s") if kind == "path" else f"\0rowel-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        server.setblocking(False)
        code = (
            "import socket\nsocket.socket(socket.AF_UNIX).connect(input_model.A.address)\nreturn {'got': 1}"
        )

        got = await attempt(run, code, A={"address": address})

        assert "got" not in got
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_a_port_cannot_be_opened(on_cpython):
    got = await attempt(
        on_cpython, "import socket\nsocket.create_server(('127.0.0.1', 0))\nreturn {'got': 1}"
    )

    assert "got" not in got


async def test_a_process_holds_nothing_but_its_own_pipes(on_cpython):
    code = """import os, stat
kinds = {}
for number in range(256):
    try:
        kinds[str(number)] = stat.filemode(os.fstat(number).st_mode)[0]
    except OSError:
        pass
return kinds"""
    inherited = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(inherited, True)

    kinds = await on_cpython(code)

    os.close(inherited)

    # Standard error and, in its place, standard output are the null device; the rest are pipes.
    assert kinds == {"0": "p", "1": "c", "2": "c", "3": "p"}


async def test_the_servers_descriptors_cannot_be_fetched(on_cpython):
    code = """import ctypes
libc = ctypes.CDLL(None, use_errno=True)
pidfd = libc.syscall(434, input_model.A.server, 0)
return {"fetched": libc.syscall(438, pidfd, 0, 0)}"""

    got = await attempt(on_cpython, code, A={"server": os.getpid()})

    assert got == {"fetched": -1}


INTROSPECTION = [
    "return {'got': [c.__name__ for c in ().__class__.__base__.__subclasses__()]}",
    "return {'got': str((lambda: 0).__globals__)}",
    "return {'got': eval('__import__(\"os\").environ[\"ROWEL_TEST_KEY\"]')}",
    "import sys\nreturn {'got': str(sys._getframe(1).f_globals) + str(list(sys.modules))}",
    "import gc\nreturn {'got': str([o for o in gc.get_objects() if isinstance(o, str) and 'secret' in o])}",
    "return {'got': '{0.__class__.__init__.__globals__}'.format(input_model)}",
    "return {'got': str(_rowel_field.__globals__)}",
]


@pytest.mark.parametrize("code", INTROSPECTION)
async def test_introspection_finds_the_process_it_is_in_and_nothing_of_the_server(run, monkeypatch, code):
    monkeypatch.setenv("ROWEL_TEST_KEY", SECRET)

    assert SECRET not in str(await attempt(run, code))


async def test_an_exec_of_python_itself_is_as_confined(on_cpython, secret_file):
    code = """import subprocess, sys
done = subprocess.run([sys.executable, "-I", "-c", f"print(open({input_model.A.path!r}).read())"], capture_output=True)
return {"code": done.returncode, "out": done.stdout.decode()}"""

    got = await attempt(on_cpython, code, A={"path": str(secret_file)})

    assert got == {"code": 1, "out": ""} or "refused" in got


async def test_a_process_that_left_its_group_is_ended_too(on_cpython):
    code = """import os, time
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    os.write(writing, b"1")
    time.sleep(60)
os.read(reading, 1)
os.setpgid(0, child)
time.sleep(60)"""

    with pytest.raises(NodeFailed, match="took longer"):
        await on_cpython(code, timeout_s=1.0)
    await on_cpython("return {}")

    await eventually(lambda: descendants() == set())
