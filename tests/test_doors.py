"""The doors as a person finds them: twistd, twist and python -m, each in a process of its own."""

from __future__ import annotations

import errno
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

SCRIPTS = Path(sysconfig.get_path("scripts"))
RUNNERS = {
    "twistd": [str(SCRIPTS / "twistd"), "--nodaemon", "--pidfile="],
    "twist": [str(SCRIPTS / "twist"), "--log-format=text"],
    "python": [sys.executable, "-m"],
}
#: How each ends after SIGTERM: Twisted's runners shut everything down, then die by the signal that they got.
ENDS = {"twistd": -signal.SIGTERM, "twist": -signal.SIGTERM, "python": 0}
PATIENCE = 30.0
ANYWHERE = "tcp:0:interface=127.0.0.1"

MODULE = '''
from pathlib import Path
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import deferLater
from txabstracthttp import AbstractHttpServer
from txabstracthttp.demo import DemoServer

class Abstract(AbstractHttpServer):
    pass

class Raises(DemoServer):
    def __init__(self):
        raise ZeroDivisionError("no luck")

class Late(DemoServer):
    """Binds, and fails when the reactor runs."""
    def bind(self, endpoint=None):
        from twisted.internet import reactor
        failing = Deferred()
        reactor.callLater(0.05, failing.errback, CannotListenError(None, None, OSError(98, "too late")))
        return failing

class Slow(AbstractHttpServer):
    """Answers when there is a file "go"."""
    async def handleRequest(self, request, socket):
        from twisted.internet import reactor
        Path("started").touch()
        while not Path("go").exists():
            await deferLater(reactor, 0.01)
        socket.respond(b"x" * 3_000_000)
        return True
'''

#: What a person gets wrong, and what he is told: a pattern.
MISTAKES = {
    "stray": (["stray"], r"unexpected argument 'stray' \(--help tells more\)"),
    "option": (["--nonsense"], r"option --nonsense not recognized \(--help tells more\)"),
    "module": (["--server=nowhere:Class"], "there is no module nowhere"),
    "class": (["--server=doors:Nobody"], "there is no Nobody in the module doors"),
    "noServer": (["--server=json:JSONDecoder"], "json:JSONDecoder is no subclass of AbstractHttpServer"),
    "abstract": (["--server=doors:Abstract"], "doors:Abstract is abstract: .* handleRequest"),
    "raises": (["--server=doors:Raises"], r"cannot make a Raises: ZeroDivisionError: no luck \(.*:14\)"),
    "broken": (["--server=broken:Class"], "cannot import broken: SyntaxError: .*"),
    "endpoint": (["--listen=tcp:x"], "bad endpoint 'tcp:x': .*"),
    "endpointKind": (["--listen=bogus:1"], "bad endpoint 'bogus:1': .*bogus.*"),
    "folder": (["--listen=tls:nowhere:0"], "bad endpoint 'tls:nowhere:0': cannot read the folder .*"),
    "key": (["--listen=ssl:0:privateKey=nowhere.pem"], r"bad endpoint .*nowhere\.pem': No such file .*"),
    "taken": (["--listen={taken}"], "cannot listen on {taken}: Address already in use"),
    "second": (
        [f"--listen={ANYWHERE}", "--listen={taken}"],
        "cannot listen on {taken}: Address already in use",
    ),
    "late": (["--server=doors:Late", "--listen=tcp:1", "--listen=tcp:2"], "cannot listen on tcp:1: too late"),
    "noToml": (["--configuration=nowhere"], "cannot read the configuration nowhere: No such file .*"),
    "badToml": (["--configuration=bad.toml"], r"bad\.toml: .*line 1.*"),
    "unknownKey": (
        ["--configuration=unknown.toml"],
        r"unknown\.toml: maximumBodySiez .*maximumBodySize\?",
    ),
    "accessLog": (
        ["--access-log=nowhere/log"],
        "cannot write the access log nowhere/log: No such file .*",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where servers run: with modules and files of all kinds."""
    folder = tmp_path_factory.mktemp("doors")
    (folder / "doors.py").write_text(MODULE)
    (folder / "broken.py").write_text("def\n")
    (folder / "bad.toml").write_text("= 5\n")
    (folder / "unknown.toml").write_text("maximumBodySiez = 5\n")
    return folder


@pytest.fixture(scope="module")
def taken() -> Iterator[str]:
    """An endpoint that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"tcp:{listener.getsockname()[1]}:interface=127.0.0.1"


Outcomes = dict[tuple[str, str], "Future[subprocess.CompletedProcess[str]]"]


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, folder: Path, taken: str) -> Iterator[Outcomes]:
    """What came of each mistake that is tested in this run; they are made side by side, to save time."""
    pool = ThreadPoolExecutor(os.cpu_count())
    outcomes: Outcomes = {}
    for item in request.session.items:
        if item.name.startswith("test_mistake[") and isinstance(item, pytest.Function):
            runner, mistake = item.callspec.params["runner"], item.callspec.params["mistake"]
            words = [word.format(taken=taken) for word in MISTAKES[mistake][0]]
            command = [*RUNNERS[runner], "txabstracthttp", *words]
            outcomes[runner, mistake] = pool.submit(complete, command, folder)
    yield outcomes
    pool.shutdown()


def complete(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return finish(command, folder)
    except OSError as error:
        # Seen where many are started at once from threads: exec() fails before the program runs.
        if error.errno != errno.EFAULT:
            raise
        return finish(command, folder)


def finish(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.02)


class Server:
    """A server that runs in `folder`, and what it has said."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self.folder = folder

    def said(self) -> str:
        return (self.folder / "output").read_text()

    def ports(self) -> list[int]:
        return [int(port) for port in re.findall(r"serving on http://127\.0\.0\.1:(\d+)/", self.said())]

    def port(self) -> int:
        until(lambda: self.ports() or self.process.poll() is not None, f"port in {self.said()}")
        assert self.ports(), self.said()
        return self.ports()[0]

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port(), timeout=PATIENCE)
        try:
            connection.request("GET", path, headers={"User-Agent": "test"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def terminate(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(runner: list[str], folder: Path, *words: str) -> Iterator[Server]:
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [*runner, "txabstracthttp", f"--listen={ANYWHERE}", *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A shell's background jobs ignore it, and so would this.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
    try:
        yield Server(process, folder)
    finally:
        process.kill()
        process.wait()


eachRunner = pytest.mark.parametrize("runner", RUNNERS)


class TestServing:
    @eachRunner
    def test_demo(self, runner: str, tmp_path: Path) -> None:
        with serving(RUNNERS[runner], tmp_path, "--access-log=log", f"--listen={ANYWHERE}") as server:
            status, text = server.get("/?a=b")
            assert status == 200
            assert "/?a=b" in text
            assert server.get("/nowhere")[0] == 404
            assert len(server.ports()) == 2
            assert server.terminate() == ENDS[runner], server.said()
        assert "Traceback" not in server.said()
        lines = (tmp_path / "log").read_text().splitlines()
        assert [line.partition("] ")[2].partition(" ")[0] for line in lines] == ['"GET', '"GET']
        assert lines[1].startswith("127.0.0.1 - - [")
        assert re.search(r'"GET /nowhere HTTP/1\.1" 404 \d+ "-" "test"$', lines[1])

    @eachRunner
    def test_sigtermDrains(self, runner: str, tmp_path: Path) -> None:
        (tmp_path / "doors.py").write_text(MODULE)
        with (
            serving(RUNNERS[runner], tmp_path, "--server=doors:Slow", "--access-log=log") as server,
            ThreadPoolExecutor() as pool,
        ):
            answer = pool.submit(server.get, "/")
            until((tmp_path / "started").exists, "handler at work")
            server.process.send_signal(signal.SIGTERM)
            until(lambda: isRefused(server.port()), "end of listening")
            (tmp_path / "go").touch()
            assert answer.result(PATIENCE) == (200, "x" * 3_000_000)
            assert server.process.wait(PATIENCE) == ENDS[runner], server.said()
        assert (tmp_path / "log").read_text().endswith('"GET / HTTP/1.1" 200 3000000 "-" "test"\n')

    def test_sigint(self, tmp_path: Path) -> None:
        with serving(RUNNERS["python"], tmp_path) as server:
            server.port()
            assert server.terminate(signal.SIGINT) == 0
        assert "Traceback" not in server.said()

    def test_anotherReactor(self, tmp_path: Path) -> None:
        with serving([*RUNNERS["twist"], "--reactor=asyncio"], tmp_path) as server:
            assert server.get("/")[0] == 200
            assert server.terminate() == ENDS["twist"]

    def test_configuration(self, tmp_path: Path) -> None:
        (tmp_path / "c.toml").write_text("maximumUrlSize = 10\n")
        with serving(RUNNERS["python"], tmp_path, "--configuration=c.toml") as server:
            assert server.get("/")[0] == 200
            assert server.get("/0123456789")[0] == 414

    @pytest.mark.parametrize(
        "runner", [RUNNERS["python"], [*RUNNERS["twistd"], "--logfile=output"]], ids=["python", "twistd"]
    )
    def test_rotation(self, runner: list[str], tmp_path: Path) -> None:
        with serving(runner, tmp_path, "--access-log=log") as server:
            port = server.port()
            server.get("/one")
            (tmp_path / "log").rename(tmp_path / "log.1")
            server.process.send_signal(signal.SIGUSR1)
            until((tmp_path / "log").exists, "new log")
            with http_get(port, "/two") as status:
                assert status == 404
            assert "/one" in (tmp_path / "log.1").read_text()
            assert "/two" in (tmp_path / "log").read_text()
            # twistd's own log is rotated as ever.
            assert (tmp_path / "output.1").exists() == ("--logfile=output" in runner)

    def test_help(self, tmp_path: Path) -> None:
        done = complete([*RUNNERS["python"], "txabstracthttp", "--help"], tmp_path)
        assert done.returncode == 0
        assert done.stdout.startswith("Usage: python -m txabstracthttp [options]\n")
        assert "--listen" in done.stdout


@contextmanager
def http_get(port: int, path: str) -> Iterator[int]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", path)
    yield connection.getresponse().status
    connection.close()


def isRefused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    return False


class TestMistakes:
    @pytest.mark.parametrize("mistake", MISTAKES)
    @eachRunner
    def test_mistake(self, runner: str, mistake: str, outcomes: Outcomes, taken: str) -> None:
        done = outcomes[runner, mistake].result()
        assert done.returncode == 1, done
        pattern = "txabstracthttp: " + MISTAKES[mistake][1].replace("{taken}", re.escape(taken)) + "\n"
        stderr = done.stderr
        if (runner, mistake) == ("python", "late"):
            # This one logs to stderr, and it was running: take out what has a time in front.
            stderr = re.sub(r"(?m)^\d{4}-.*\n", "", stderr)
        assert re.fullmatch(pattern, stderr), done
        assert "Traceback" not in done.stdout

    def test_daemon(self, tmp_path: Path, taken: str) -> None:
        command = [RUNNERS["twistd"][0], "txabstracthttp", f"--listen={taken}"]
        done = complete(command, tmp_path)
        assert done.returncode == 1
        # twistd has a hundred octets for what a daemon says before it is one; the rest is in the log.
        assert f"cannot listen on {taken}"[:60] in done.stderr
        until(lambda: "Address already in use" in (tmp_path / "twistd.log").read_text(), "reason in the log")
        assert "Traceback" not in (tmp_path / "twistd.log").read_text()
        assert not (tmp_path / "twistd.pid").exists()

    def test_pidFileIsRemoved(self, tmp_path: Path, taken: str) -> None:
        command = [RUNNERS["twistd"][0], "--nodaemon", "txabstracthttp", f"--listen={taken}"]
        assert complete(command, tmp_path).returncode == 1
        assert not (tmp_path / "twistd.pid").exists()
