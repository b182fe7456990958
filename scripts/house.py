"""Measures of the house: how many rooms it has, how they are named, and how often a request changes them.

Run as `scripts/house`. `tests/test_house.py` holds the bars. The rooms that a request changes are not listed anywhere:
a request is sent through the application and watched on its way from `Dispatcher.open` to `rules.decide`.
"""

import ast
import asyncio
import json
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

from router.app import create
from router.decision import rules
from router.exchange import Dispatcher
from router.settings import Settings

ROOT = Path(__file__).parent.parent
PACKAGES = ("router", "classifier")
# Twelve changes of room were the bar until a decision also asked whether models are well, whether a tool loop runs, and
# the time for prices and caches (decisions 26, 28 and 29).
TOP_BAR, LAYERS_BAR, NAMES_BAR, PARTICIPLE_BAR, CHANGES_BAR = 16, 17, 40, 0.02, 17

# Participles that do not end in "ed". Those that are verbs as they stand (cut, put, read, run, set, split) are none.
IRREGULAR = frozenset(
    """become begun born bought bound broken brought built caught chosen dealt done drawn driven fallen felt found given
    gone grown held hidden kept known laid led left lent lost made meant met paid said seen sent shown sold spent spoken
    stood stuck swept taken taught thought thrown told understood woken won worn written""".split()  # noqa: SIM905
)
NO_PARTICIPLES = frozenset({"embed", "exceed", "feed", "need", "proceed", "seed", "shed", "speed", "succeed"})

# Functions that return another form of what they get and change nothing, in the manner of `sorted`.
PURE_TRANSFORMS = frozenset({"clipped", "scrubbed", "shuffled", "stripped", "widened"})


@dataclass(frozen=True, slots=True)
class Function:
    """A function or method of the code; a property is none, because it reads as a value."""

    module: str
    name: str


def main() -> None:
    """Print every measure beside its bar."""
    top, layers, names = modules_at_the_top(), *layers_of_the_contract()
    twice, functions = classes_named_twice(), list(all_functions())
    participles = [function for function in functions if is_participle(function.name)]
    pure = [function for function in participles if function.name in PURE_TRANSFORMS]
    rooms = rooms_on_the_way()
    print(f"modules at the top of router/: {len(top)} (bar: {TOP_BAR}), and {len(packages_at_the_top())} packages")
    print(f"layers in the contract, names in it: {layers}, {names} (bars: {LAYERS_BAR}, {NAMES_BAR})")
    print(f"public class names used twice or more: {len(twice)} (bar: 0) {', '.join(twice)}")
    share = len(participles) / len(functions)
    print(f"functions named by a past participle: {len(participles)} of {len(functions):,}, {share:.1%}", end=" ")
    print(f"(bar: {PARTICIPLE_BAR:.0%}, all pure transforms), {len(pure)} of them pure transforms")
    for function in participles:
        print(f"    {function.module}.{function.name}" + (" (pure)" if function in pure else ""))
    print(f"changes of room from the opened request to its decision: {changes(rooms)} (bar: {CHANGES_BAR})")
    print(f"    {' > '.join(rooms)}")


def modules_at_the_top() -> list[str]:
    """The modules beside the packages of `router`."""
    return sorted(path.stem for path in (ROOT / "router").glob("*.py") if path.stem != "__init__")


def packages_at_the_top() -> list[str]:
    """The packages of `router`: its rooms."""
    return sorted(path.parent.name for path in (ROOT / "router").glob("*/__init__.py"))


def layers_of_the_contract() -> tuple[int, int]:
    """How many layers the contract between rooms has, and how many names."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    return len(layers), sum(len(layer.split("|")) for layer in layers)


def classes_named_twice() -> list[str]:
    """Names of public classes that more than one class has."""
    names = Counter(node.name for _, node in _nodes() if isinstance(node, ast.ClassDef))
    return sorted(name for name, times in names.items() if times > 1 and not name.startswith("_"))


def all_functions() -> Iterator[Function]:
    """Every function of the code, but for properties and what Python itself names."""
    for module, node in _nodes():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            is_property = any(ast.unparse(it).endswith("property") for it in node.decorator_list)
            if not is_property and not node.name.startswith("__"):
                yield Function(module, node.name)


def is_participle(name: str) -> bool:
    """Tell whether a name begins with a past participle, as `_kept_rows` does and `keep_rows` does not."""
    first = name.lstrip("_").partition("_")[0]
    return first in IRREGULAR or (first.endswith("ed") and first not in NO_PARTICIPLES)


def changes(rooms: Iterable[str]) -> int:
    """How often a request changes rooms, coming back included."""
    return sum(1 for _ in pairwise(rooms))


def rooms_on_the_way() -> list[str]:
    """The rooms of `router` that a request is in, one after the other, from when it is opened until it is decided."""
    way = _Way()
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_send_a_request(Path(directory), way))
    return way.rooms


class _Way:
    """Follows the calls of one request: a profiler for `sys.setprofile`."""

    def __init__(self) -> None:
        self.rooms: list[str] = []
        self._open: list[str | None] = []

    def __call__(self, frame: FrameType, event: str, arg: object) -> None:
        code = frame.f_code
        if event == "call" and (self._open or code is Dispatcher.open.__code__):
            self._open.append(_room_of(code.co_filename))
            self._enter(self._open[-1])
            if code is rules.decide.__code__:
                sys.setprofile(None)
        elif event == "return" and self._open:
            self._open.pop()
            self._enter(next((room for room in reversed(self._open) if room), None))

    def _enter(self, room: str | None) -> None:
        if room is not None and self.rooms[-1:] != [room]:
            self.rooms.append(room)


def _room_of(filename: str) -> str | None:
    path = Path(filename)
    return path.relative_to(ROOT / "router").parts[0].removesuffix(".py") if ROOT / "router" in path.parents else None


async def _send_a_request(directory: Path, way: _Way) -> None:
    """Ask the application one question with a history twice; the second time it is watched, once all is looked up."""
    tiers = {
        "fast": {"model": "scripted/a"},
        "reasoning": {"model": "scripted/b"},
        "parallel": {"models": ["scripted/c"]},
    }
    wired = {"database_url": f"sqlite:///{directory}/books.db", "state_dir": directory, "tiers": tiers}
    application = create(Settings.model_validate(wired), {})
    roles = ("user", "Why is the sky blue?"), ("assistant", "It scatters."), ("user", "And why is it red at night?")
    body = json.dumps({"model": "auto", "messages": [{"role": role, "content": text} for role, text in roles]}).encode()
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "headers": headers,
        "query_string": b"",
        "client": ("127.0.0.1", 50_000),
    }
    pieces: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return pieces.pop() if pieces else await asyncio.Future()

    async def send(message: Any) -> None:
        assert message.get("status", 200) == 200, message

    for profiler in (None, way):
        pieces.append({"type": "http.request", "body": body, "more_body": False})
        sys.setprofile(profiler)
        try:
            await application(dict(scope), receive, send)
        finally:
            sys.setprofile(None)


def _nodes() -> Iterator[tuple[str, ast.AST]]:
    """Every node of the syntax trees of the code, with the name of its module."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                yield module, node


if __name__ == "__main__":
    main()
