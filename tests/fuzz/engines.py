"""What drives a target: atheris, which looks for inputs that reach new code, or else a plain loop."""

from __future__ import annotations

__all__ = ["PATIENCE", "Finding", "choose", "mutate", "runAtheris", "runPlain"]

import faulthandler
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz.targets import CORPUS, TARGETS, entries, load

#: What stands in the way of parsers: octets, words, lengths, frames' heads.
WORDS = [
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"\0", b"\x7f", b"\x80", b"\xff", b":", b",", b";", b'"',
    b"\\", b"=", b"#", b"?", b"*", b"@", b"/", b"%00", b"%", b"0", b"-", b"+", b"_", b"0\r\n\r\n",
    b"GET / HTTP/1.1\r\n", b"HEAD ", b"POST ", b"CONNECT ", b"OPTIONS * ", b"HTTP/1.0", b"http://a", b"a:443",
    b"Host: a\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n",
    b"Connection: upgrade\r\n", b"Upgrade: websocket\r\n", b"Expect: 100-continue\r\n", b"X: y\r\n",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b"Sec-WebSocket-Version: 13\r\n", b"[::1]", b"gzip, ",
    b"Sec-WebSocket-Extensions: ", b"Sec-WebSocket-Protocol: ", b"permessage-deflate", b"Origin: http://a\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\0\x04\0\0\0\0\0", b"\0\0\0\x04\x01\0\0\0\0", b"chunked",
    b"PROXY TCP4 ", b"PROXY TCP6 ", b"192.0.2.1", b"\r\n\r\n\0\r\nQUIT\n", b"\x81\x80\0\0\0\0", b"\x82\xfe",
    b"\0\0\x01\x01\x05", b"ffffffffffffffff",
]  # fmt: skip
#: Seconds that one input may take.
PATIENCE = 20


class Finding(Exception):
    """An input that breaks something.

    :ivar data: the input.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


def mutate(chance: random.Random, inputs: Sequence[bytes], longest: int) -> bytes:
    """One of `inputs`, changed in a few places; now and then with half of another."""
    data = chance.choice(inputs)
    if not chance.randrange(4):
        other = chance.choice(inputs)
        data = data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]
    for _ in range(chance.choice([1, 1, 2, 3, 6])):
        start = chance.randrange(len(data) + 1)
        stop = min(start + chance.choice([0, 0, 1, 1, 2, 4, 8, 16]), len(data))
        filling = [b"", chance.randbytes(1), chance.choice(WORDS), data[start:stop] * 2]
        data = data[:start] + chance.choice(filling) + data[stop:]
    return data[:longest]


def runPlain(
    target: Callable[[bytes], None], inputs: Sequence[bytes], longest: int, seconds: float, seed: int
) -> int:
    """Try `inputs`, and then what becomes of them, until the time is over; how many there were.

    :raises Finding: one of them broke something, for the reason that is its cause.
    """
    chance = random.Random(seed)
    until = time.monotonic() + seconds
    count = 0
    while count < len(inputs) or time.monotonic() < until:
        data = inputs[count] if count < len(inputs) else mutate(chance, inputs or [b""], longest)
        try:
            target(data)
        except Exception as error:
            raise Finding(data) from error
        count += 1
    return count


def runAtheris(name: str, options: Sequence[str], folder: Path) -> NoReturn:
    """Hand over to libFuzzer, which ends the process: 0 if it found nothing.

    :param options: its own, and the folders of inputs: where new ones go, and others to read.
    :param folder: for what it finds.
    """
    import atheris  # type: ignore[import-untyped]

    # What our wires stand on is looked at as well: by way of us, a peer speaks to h2 and hpack.
    packages = ["txabstracthttp", "h2", "hpack", "hyperframe"]
    with atheris.instrument_imports(include=packages, enable_loader_override=False):
        target = load(name)
    dictionary = folder / f"{name}.words"
    dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in WORDS))
    settings = [
        f"-max_len={TARGETS[name].longest}",
        f"-timeout={PATIENCE}",
        f"-dict={dictionary}",
        f"-artifact_prefix={folder}/{name}-",
        "-rss_limit_mb=1500",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *settings, *options], target)
    atheris.Fuzz()
    raise AssertionError("libFuzzer does not come back")


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{octet:02x}" for octet in word)


def steps(target: Callable[[bytes], None], data: bytes) -> set[tuple[str, int, int]]:
    """Which lines of ours follow which, while `target` looks at `data`."""
    found: set[tuple[str, int, int]] = set()

    def enter(frame: FrameType, event: str, arg: Any) -> Any:
        name = frame.f_code.co_filename
        if "txabstracthttp" not in name:
            return None
        line = 0

        def trace(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal line
            found.add((name, line, frame.f_lineno))
            line = frame.f_lineno
            return trace

        return trace(frame, event, arg)

    sys.settrace(enter)
    try:
        target(data)
    finally:
        sys.settrace(None)
    return found


def choose(name: str, known: Iterable[Path], fresh: Iterable[Path]) -> list[Path]:
    """Those of `fresh` that take steps that nothing `known` does, the smallest first."""
    target = load(name)
    taken: set[tuple[str, int, int]] = set()
    for path in known:
        taken |= steps(target, path.read_bytes())
    chosen = []
    for path in sorted(fresh, key=lambda path: (path.stat().st_size, path.name)):
        more = steps(target, path.read_bytes()) - taken
        if more:
            taken |= more
            chosen.append(path)
    return chosen


def main(engine: str, name: str, seconds: float, seed: int, folder: Path, fresh: Path) -> int:
    """What the process of one target does.

    :param engine: ``choose``: say which inputs in `fresh` are worth keeping.
    """
    if engine == "plain":
        return _mainPlain(name, seconds, seed, folder)
    if engine == "choose":
        for path in choose(name, entries(name), fresh.iterdir()):
            sys.stdout.write(f"chosen {path}\n")
        return 0
    runAtheris(
        name, [f"-max_total_time={seconds:.0f}", f"-seed={seed}", str(fresh), str(CORPUS / name)], folder
    )


def _mainPlain(name: str, seconds: float, seed: int, folder: Path) -> int:
    inputs = [path.read_bytes() for path in entries(name)]
    faulthandler.dump_traceback_later(seconds + 2 * PATIENCE, exit=True)
    try:
        count = runPlain(load(name), inputs, TARGETS[name].longest, seconds, seed)
    except Finding as finding:
        traceback.print_exception(finding.__cause__)
        folder.joinpath(f"{name}-crash").write_bytes(finding.data)
        return 1
    sys.stdout.write(f"stat::number_of_executed_units: {count}\n")
    return 0


if __name__ == "__main__":
    engine, name, seconds, seed, folder, fresh = sys.argv[1:]
    sys.exit(main(engine, name, float(seconds), int(seed), Path(folder), Path(fresh)))
