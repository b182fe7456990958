"""Runs a program on the tests that its question brings, in a process of its own that the kernel shuts in.

No files, no network, no other processes, bounded memory and time; no environment, so no keys. Off by default.
"""

import ast
import asyncio
import json
import re
import secrets
import sys
from pathlib import Path

from router.tiers.vote.fences import blocks
from router.tiers.vote.sandbox_worker import PRELOADED

IMPORTABLE = {name.partition(".")[0] for name in PRELOADED} | {"__future__"}
WORKER = Path(__file__).with_name("sandbox_worker.py")
SECONDS, MEGABYTES = 2, 256
STARTING_S = 4.0
LONGEST = 40_000
MOST_TESTS = 50

_QUOTES = re.compile(r'^[ \t]*(?:"""|\'\'\')[ \t]*$', re.MULTILINE)  # that end a docstring, and no example
PYTHON = frozenset(("", "python", "py", "python3"))  # languages of a fence; most models name it, some do not


class Sandbox:
    """Runs programs, a bounded number at a time."""

    def __init__(self, at_once: int = 2) -> None:
        self._places = asyncio.Semaphore(at_once)

    async def passes(self, program: str, tests: list[str]) -> bool | None:
        """Tell whether a program passes all tests; None where it could not be run here."""
        if len(program) > LONGEST or not _imports_of(program) <= IMPORTABLE:
            return None
        seal = secrets.token_hex(16)
        task = {"program": program, "tests": tests, "seal": seal, "seconds": SECONDS, "megabytes": MEGABYTES}
        async with self._places:
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-I", "-S", str(WORKER),
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL, env={}, cwd="/",
                )  # fmt: skip
            except OSError:
                return None
            said = b""
            try:
                async with asyncio.timeout(SECONDS + STARTING_S):
                    said, _ = await process.communicate(json.dumps(task).encode() + b"\n")
            except TimeoutError:
                return False
            finally:
                if process.returncode is None:
                    process.kill()
                    await asyncio.shield(process.wait())
        if said.strip() == f"{seal} passed".encode():
            return True
        # A process that was ended before it could say anything used up its memory or time.
        return False if said or process.returncode else None


def examples_in(question: str) -> list[str]:
    """Return the tests that a question brings: `assert` lines, and examples in the form of a Python prompt."""
    import doctest  # and with it unittest and pdb: when the first question about a program comes

    tests = [line for raw in question.splitlines() if (line := raw.strip().strip("`")).startswith("assert ")]
    try:
        examples = doctest.DocTestParser().get_examples(_QUOTES.sub("", question))
    except ValueError:
        examples = []
    for example in examples:
        source, want = example.source.strip(), example.want.strip().strip("'\"` ")
        if want and "\n" not in source and _is_python(f"({source})") and _is_python(f"({example.want.strip()})"):
            tests.append(f"assert ({source}) == ({example.want.strip()})")
    return [test for test in tests if _is_python(test)][:MOST_TESTS]


def program_in(text: str) -> str | None:
    """Return the program of an answer: its longest fenced block that is Python, or the whole text where that is."""
    programs = [source for language, source in blocks(text) if language in PYTHON and _is_python(source)]
    if programs:
        return max(programs, key=len)
    return text if "def " in text and _is_python(text) else None


def _imports_of(program: str) -> set[str]:
    """The packages that a program imports; what is not at hand in the sandbox is no fault of the program."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(program)):
        match node:
            case ast.Import(names=names):
                found |= {alias.name.partition(".")[0] for alias in names}
            case ast.ImportFrom(module=module) if module:
                found.add(module.partition(".")[0])
            case _:
                pass
    return found


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
