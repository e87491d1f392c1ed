"""Build the sdist and, from it, the wheel; look inside both; use the wheel in a clean environment.

``python3 .ci/check_wheel.py`` needs Python with venv and pip, nothing else.
"""

import os
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import venv
import zipfile
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "txabstracthttp"
PLUGIN = "twisted/plugins/txabstracthttp_plugin.py"
NOT_CODE = {".html", ".css", ".js", ".svg", ".typed"}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="check-wheel-") as folder:
        work = Path(folder)
        sdist, wheel = build(work)
        checkSdist(sdist)
        checkWheel(wheel)
        tools = install(work, wheel)
        checkCommands(tools, work)
        checkServing(tools, work)
    print("The wheel is good.")


def build(work: Path) -> tuple[Path, Path]:
    venv.create(work / "build", with_pip=True)
    python = work / "build/bin/python"
    run(python, "-m", "pip", "install", "-q", "build", cwd=work)
    run(python, "-m", "build", "--outdir", work / "dist", ROOT, cwd=work, timeout=180)
    (sdist,) = (work / "dist").glob("*.tar.gz")
    (wheel,) = (work / "dist").glob("*.whl")
    return sdist, wheel


def checkSdist(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    missing = {"pyproject.toml", "tox.ini", "README.md", "LICENSE", "CHANGELOG", PLUGIN} - names
    missing |= tracked() - names
    expect(not missing, f"{sdist.name} lacks {sorted(missing)}")
    print(sdist.name, len(names), "files")


def tracked() -> set[str]:
    """What git has in the tree, without what was deleted; nothing if there is no git."""
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=30, text=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return set()
    return {name for name in listing.split("\0") if name and (ROOT / name).exists()}


def checkWheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    ours = {name for name in names if ".dist-info/" not in name}
    source = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / PACKAGE).rglob("*")
        if path.suffix in NOT_CODE | {".py"}
    }
    expect(f"{PACKAGE}/py.typed" in ours, "py.typed is missing: type checkers would see nothing")
    expect(PLUGIN in ours, f"{PLUGIN} is missing: twistd would not know us")
    expect(source <= ours, f"missing from the wheel: {sorted(source - ours)}")
    expect(any(name.endswith("/licenses/LICENSE") for name in names), "the license is missing")
    strangers = {name for name in ours if name != PLUGIN and not name.startswith(f"{PACKAGE}/")}
    strangers |= {name for name in ours if name.endswith("dropin.cache")}
    expect(not strangers, f"these do not belong into the wheel: {sorted(strangers)}")
    print(wheel.name, len(ours), "files")


def install(work: Path, wheel: Path) -> Path:
    venv.create(work / "clean", with_pip=True)
    tools = work / "clean/bin"
    run(tools / "python", "-m", "pip", "install", "-q", wheel, cwd=work, timeout=180)
    run(tools / "python", "-m", "pip", "check", cwd=work)
    return tools


def checkCommands(tools: Path, work: Path) -> None:
    late = "autobahn", "h2"
    run(
        tools / "python",
        "-c",
        f"import sys, {PACKAGE}; early = {{*{late!r}}} & {{*sys.modules}}; assert not early, early",
        cwd=work,
    )
    for command in ("twistd", "twist"):
        known = [line.split()[:1] for line in run(tools / command, "--help", cwd=work).splitlines()]
        expect([PACKAGE] in known, f"{command} --help does not list {PACKAGE}")
    for command in ([tools / "python", "-m", PACKAGE], [tools / "twistd", PACKAGE]):
        expect("--listen" in run(*command, "--help", cwd=work), f"{command} --help does not mention --listen")


def checkServing(tools: Path, work: Path) -> None:
    for command in (
        [tools / "twistd", "--nodaemon", "--pidfile=", PACKAGE],
        [tools / "python", "-m", PACKAGE],
    ):
        port = freePort()
        log = work / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--listen", f"tcp:{port}:interface=127.0.0.1"],
                cwd=work,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            status = get(f"http://127.0.0.1:{port}/", process)
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=30)
        except (OSError, subprocess.TimeoutExpired) as error:
            fail(f"{command[-1]}: {error!r}\n{log.read_text(errors='replace')}")
        finally:
            process.kill()
            process.wait()
        expect(status == 200, f"GET / was answered with {status}")
        # Twisted's runners shut everything down, and then end by the very signal that they got.
        said = log.read_text(errors="replace")
        expect(code in {0, -signal.SIGTERM}, f"SIGTERM ended with {code}\n{said}")
        expect("twistd" not in command[0].name or "Server Shut Down." in said, f"no clean end\n{said}")
        print(*(getattr(word, "name", word) for word in command), "served and stopped")


def freePort() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def get(url: str, process: subprocess.Popen[bytes], patience: float = 30) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    giveUp = time.monotonic() + patience
    while True:
        try:
            with opener.open(url, timeout=10) as answer:
                answer.read()
                status: int = answer.status
                return status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            if process.poll() is not None or time.monotonic() > giveUp:
                raise
            time.sleep(0.1)


def run(*command: str | os.PathLike[str], cwd: Path, timeout: float = 120) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            text=True,
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        fail(f"{command}: no end after {timeout} seconds\n{error.stdout}")
    expect(done.returncode == 0, f"{command}: exit status {done.returncode}\n{done.stdout}")
    return done.stdout


def expect(condition: bool, complaint: str) -> None:
    if not condition:
        fail(complaint)


def fail(complaint: str) -> NoReturn:
    sys.exit(f"check_wheel: {complaint}")


if __name__ == "__main__":
    main()
