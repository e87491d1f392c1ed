"""From a command line to a service, without running it: test_doors does that."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import IService, IServiceMaker
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.plugin import getPlugins
from zope.interface import implementer

from txabstracthttp import AbstractHttpServer, HttpRequest, HttpSocket
from txabstracthttp.accesslog import AccessLog
from txabstracthttp.demo import DemoServer
from txabstracthttp.records import ExchangeRecord
from txabstracthttp.tap import Options, ServerService, StartError, makeService

RECORD = ExchangeRecord(IPv4Address("TCP", "192.0.2.7", 1), None, 400, 11)


def parsed(*words: str) -> Options:
    options = Options()
    options.parseOptions(list(words))
    return options


def complaint(*words: str) -> str:
    with pytest.raises(StartError) as caught:
        makeService(parsed(*words))
    message = str(caught.value)
    assert "\n" not in message
    # What the interpreter prints, for a status of 1.
    assert caught.value.code == f"txabstracthttp: {message}"
    return message


@implementer(IListeningPort)
class Port:
    def __init__(self, address: IAddress) -> None:
        self._address = address

    def startListening(self) -> None:
        raise AssertionError

    def stopListening(self) -> None:
        raise AssertionError

    def getHost(self) -> IAddress:
        return self._address


class Scripted(AbstractHttpServer):
    """Binds as it is told."""

    def __init__(self, *outcomes: Deferred[Any]) -> None:
        super().__init__()
        self.outcomes = list(outcomes)
        self.asked: list[object] = []

    def bind(self, endpoint: object = None) -> Deferred[IListeningPort]:
        self.asked.append(endpoint)
        return self.outcomes.pop(0)

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool:
        raise AssertionError


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    with capturedLogs() as events:
        yield events  # type: ignore[misc]


class TestOptions:
    def test_defaults(self) -> None:
        options = parsed()
        assert (options["server"], options["configuration"], options["access-log"]) == (None, None, None)
        assert options["listen"] == []

    def test_all(self) -> None:
        words = ["--server=a:B", "--listen", "tcp:1", "--configuration=c", "--access-log=d", "--listen=tcp:2"]
        options = parsed(*words)
        assert options["listen"] == ["tcp:1", "tcp:2"]
        assert (options["server"], options["configuration"], options["access-log"]) == ("a:B", "c", "d")

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["stray"], "unexpected argument 'stray'"),
            (["--nonsense"], "option --nonsense not recognized"),
            (["--listen"], "option --listen requires argument"),
        ],
    )
    def test_nonsense(self, words: list[str], said: str) -> None:
        assert complaint(*words) == f"{said} (--help tells more)"

    def test_twoDoNotShare(self) -> None:
        parsed("--listen=tcp:1")
        assert parsed()["listen"] == []


class TestPlugin:
    def test_twistdFindsIt(self) -> None:
        (maker,) = [each for each in getPlugins(IServiceMaker) if each.tapname == "txabstracthttp"]
        assert maker.options is Options
        assert maker.makeService is makeService

    def test_noReactorYet(self) -> None:
        code = (
            "import sys, txabstracthttp.tap, txabstracthttp.demo, txabstracthttp.__main__\n"
            "assert 'twisted.internet.reactor' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


class TestMakeService:
    def test_defaults(self) -> None:
        service = makeService(parsed())
        assert IService.providedBy(service)
        assert isinstance(service.server, DemoServer)
        assert not service.server.exchangeFinished.isConnected

    def test_defaultEndpoint(self) -> None:
        assert makeService(parsed())._unbound == ["tcp:8080:interface=127.0.0.1"]
        assert makeService(parsed("--listen=tcp:1", "--listen=tcp:2"))._unbound == ["tcp:1", "tcp:2"]

    def test_configuration(self, tmp_path: Path) -> None:
        file = tmp_path / "c.toml"
        file.write_text("maximumBodySize = 5\n[http2]\nmaxConcurrentStreams = 6\n")
        server = makeService(parsed(f"--configuration={file}")).server
        assert server.configuration.maximumBodySize == 5
        assert server.http2Configuration.maxConcurrentStreams == 6

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"maximumBodySiez = 5", "did you mean maximumBodySize?"),
            (b"maximumBodySize = -5", "maximumBodySize = -5"),
            (b"\nnonsense\n", "line 2"),
            (b"\xff", "utf-8"),
        ],
    )
    def test_badConfiguration(self, tmp_path: Path, content: bytes, said: str) -> None:
        (tmp_path / "c.toml").write_bytes(content)
        message = complaint(f"--configuration={tmp_path / 'c.toml'}")
        assert message.startswith(f"{tmp_path / 'c.toml'}: ")
        assert said in message

    def test_noConfiguration(self, tmp_path: Path) -> None:
        path = tmp_path / "c.toml"
        expected = f"cannot read the configuration {path}: No such file or directory"
        assert complaint(f"--configuration={path}") == expected

    def test_accessLog(self, tmp_path: Path) -> None:
        service = makeService(parsed(f"--access-log={tmp_path / 'log'}"))
        service.server.exchangeFinished.emit(RECORD)
        assert (tmp_path / "log").read_text().endswith('"-" 400 11 "-" "-"\n')
        service.stopService()

    def test_badAccessLog(self, tmp_path: Path) -> None:
        assert (
            complaint(f"--access-log={tmp_path}") == f"cannot write the access log {tmp_path}: Is a directory"
        )


class TestServer:
    @pytest.fixture(autouse=True)
    def _modules(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        (tmp_path / "tapmodule.py").write_text(
            "from txabstracthttp import AbstractHttpServer\n"
            "from txabstracthttp.demo import DemoServer\n"
            "class Outer:\n"
            "    class Inner(DemoServer): pass\n"
            "class Abstract(AbstractHttpServer): pass\n"
            "class Raises(DemoServer):\n"
            "    def __init__(self): raise OSError('no\\nluck')\n"
            "class Forgets(DemoServer):\n"
            "    def __init__(self): pass\n"
            "class Demands(DemoServer):\n"
            "    def __init__(self, what): pass\n"
        )
        (tmp_path / "tapbroken.py").write_text("import json\nimport nowhereatall\n")
        (tmp_path / "tapsyntax.py").write_text("def\n")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", list(sys.path))
        before = set(sys.modules)
        yield
        for name in set(sys.modules) - before:
            if name.startswith("tap"):
                del sys.modules[name]

    def test_fromTheCurrentDirectory(self, tmp_path: Path) -> None:
        server = makeService(parsed("--server=tapmodule:Outer.Inner")).server
        assert type(server).__qualname__ == "Outer.Inner"
        assert sys.path.count(str(tmp_path)) == 1
        makeService(parsed("--server=tapmodule:DemoServer"))
        assert sys.path.count(str(tmp_path)) == 1

    @pytest.mark.parametrize(
        ("server", "said"),
        [
            ("tapmodule", "--server takes package.module:Class, not 'tapmodule'"),
            (":Class", "--server takes package.module:Class, not ':Class'"),
            ("tapmodule:", "--server takes package.module:Class, not 'tapmodule:'"),
            ("tapnowhere:Class", "there is no module tapnowhere"),
            ("tapnowhere.more:Class", "there is no module tapnowhere"),
            ("tapmodule.more:Class", "there is no module tapmodule.more"),
            ("tapmodule:Nobody", "there is no Nobody in the module tapmodule"),
            ("tapmodule:Outer.Nobody", "there is no Outer.Nobody in the module tapmodule"),
            ("tapmodule:Outer", "tapmodule:Outer is no subclass of AbstractHttpServer"),
            ("tapmodule:__name__", "tapmodule:__name__ is no subclass of AbstractHttpServer"),
            ("tapmodule:Abstract", "tapmodule:Abstract is abstract: it does not override handleRequest"),
            ("..relative:Class", "cannot import ..relative: TypeError: "),
            (
                "tapbroken:Class",
                "cannot import tapbroken: ModuleNotFoundError: No module named 'nowhereatall' (",
            ),
            ("tapsyntax:Class", "cannot import tapsyntax: SyntaxError: "),
            ("tapmodule:Raises", "cannot make a Raises: OSError: no luck ("),
            ("tapmodule:Forgets", "Forgets.__init__() must call super().__init__()"),
            ("tapmodule:Demands", "cannot make a Demands: TypeError: "),
        ],
    )
    def test_bad(self, server: str, said: str) -> None:
        assert said in complaint(f"--server={server}")

    def test_whereItWentWrong(self) -> None:
        assert complaint("--server=tapmodule:Raises").endswith("tapmodule.py:7)")
        assert complaint("--server=tapbroken:Class").endswith("tapbroken.py:2)")
        assert complaint("--server=tapsyntax:Class").endswith("(tapsyntax.py, line 1)")
        assert complaint("--server=tapmodule:Demands").endswith("argument: 'what'")


class TestService:
    @pytest.mark.parametrize(
        ("endpoint", "address", "url"),
        [
            ("tcp:0", IPv4Address("TCP", "127.0.0.1", 8080), "http://127.0.0.1:8080/"),
            ("tcp:80", IPv4Address("TCP", "127.0.0.1", 80), "http://127.0.0.1/"),
            ("tcp6:0", IPv6Address("TCP", "::1", 8080), "http://[::1]:8080/"),
            ("ssl:0", IPv4Address("TCP", "127.0.0.1", 8443), "https://127.0.0.1:8443/"),
            ("haproxy:tls:/x:0", IPv4Address("TCP", "127.0.0.1", 443), "https://127.0.0.1/"),
            ("unix:/run/x", UNIXAddress("/run/x"), "unix:/run/x"),
            ("unix:/run/x", UNIXAddress(b"/run/x"), "unix:/run/x"),
            ("systemd:domain=UNIX:index=0", UNIXAddress(None), "unix:"),
        ],
    )
    def test_saysWhere(self, logged: list[LogEvent], endpoint: str, address: IAddress, url: str) -> None:
        service = ServerService(Scripted(succeed(Port(address))), [endpoint])
        service.startService()
        assert [formatEvent(event) for event in logged] == [f"serving on {url}"]

    def test_bindsOnce(self) -> None:
        port = Port(IPv4Address("TCP", "127.0.0.1", 8080))
        server = Scripted(succeed(port), succeed(port))
        service = ServerService(server, ["tcp:1", "tcp:2"])
        service.privilegedStartService()
        service.startService()
        assert server.asked == ["tcp:1", "tcp:2"]

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (
                CannotListenError("", 1, OSError(98, "Address already in use")),
                "cannot listen on tcp:1: Address already in use",
            ),
            (CannotListenError("", 1, "whatever"), "cannot listen on tcp:1: whatever"),
            (ValueError("bad endpoint 'tcp:1': no"), "bad endpoint 'tcp:1': no"),
            (RuntimeError("oh"), "cannot listen on tcp:1: RuntimeError: oh"),
        ],
    )
    def test_failsAtOnce(self, error: Exception, said: str) -> None:
        service = ServerService(Scripted(fail(error)), ["tcp:1"])
        with pytest.raises(StartError) as caught:
            service.privilegedStartService()
        assert str(caught.value) == said
        # twistd tidies up after an Exception, and the interpreter is silent about a SystemExit.
        assert isinstance(caught.value, Exception)
        assert isinstance(caught.value, SystemExit)

    def test_cancelledByStopping(self, capfd: pytest.CaptureFixture[str]) -> None:
        waiting: Deferred[Any] = Deferred()
        service = ServerService(Scripted(waiting), ["tcp:1"])
        service.startService()
        service.stopService()
        waiting.errback(CancelledError())
        assert capfd.readouterr() == ("", "")

    def test_accessLogClosedAtTheEnd(self, tmp_path: Path) -> None:
        server = Scripted()
        before = signal.getsignal(signal.SIGUSR1)
        service = ServerService(server, [], AccessLog(tmp_path / "log"))
        service.startService()
        assert signal.getsignal(signal.SIGUSR1) != before
        ended: list[None] = []
        service.stopService().addCallback(ended.append)
        assert ended == [None]
        assert signal.getsignal(signal.SIGUSR1) == before
        server.exchangeFinished.emit(RECORD)
        assert (tmp_path / "log").read_text() == ""
