"""Programs as normalised syntax trees: names of locals, comments, docstrings and layout do not matter.

Nothing is executed. Python goes through `ast`; other languages are compared token by token without comments.
"""

import ast
import hashlib
import re
import warnings

from router.tiers.vote.fences import blocks

LONGEST = 50_000
_COMMENTS = re.compile(
    r"/\*(?:[^*]|\*(?!/))*(?:\*/|\Z)|//[^\n]*|(?:^|(?<=\s))#(?!include|define|if|endif)[^\n]*|(?:^|(?<=\s))--\s[^\n]*",
    re.DOTALL,
)
# What is quoted ends where its line does, if not before: a quote without an end must not be sought for again and again.
_TOKENS = re.compile(r"\"(?:\\.|[^\"\\\n])*+\"?|'(?:\\.|[^'\\\n])*+'?|`[^`]*+`?|\w+|[^\w\s]")


def program_of(text: str) -> tuple[str, str] | None:
    """Return (language, source) of the longest fenced block, or of a text that is itself Python."""
    if fenced := blocks(text):
        return max(fenced, key=lambda block: len(block[1]))
    return ("python", text) if _parse(text) is not None else None


def program_key(text: str) -> str | None:
    """Return a digest of the program's normalised form, None when there is no program or it does not parse."""
    program = program_of(text)
    if program is None or len(program[1]) > LONGEST or not program[1].strip():
        return None
    language, source = program
    if language in ("", "python", "py", "python3"):
        if (tree := _parse(source)) is not None:
            try:
                return _digest("python", ast.dump(_Renamed().visit(tree)))
            except RecursionError:
                return None
        if language:
            return None
    return _digest(language, " ".join(_TOKENS.findall(_COMMENTS.sub(" ", source))))


def _parse(source: str) -> ast.Module | None:
    if len(source) > LONGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    is_prose = all(isinstance(node, ast.Expr) and not isinstance(node.value, ast.Call) for node in tree.body)
    return None if is_prose else tree


class _Renamed(ast.NodeTransformer):
    """Numbers the names that functions bind and drops docstrings and annotations."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        outer = self._names
        self._names = dict(outer)
        for name in _local_names(node):
            self._names.setdefault(name, f"v{len(self._names)}")
        node.returns = None
        node.body = [n for n in node.body if not _is_docstring(n)] or [ast.Pass()]
        self.generic_visit(node)
        self._names = outer
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(arg=self._names.get(node.arg, node.arg))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(id=self._names.get(node.id, node.id), ctx=node.ctx)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        return ast.Assign(targets=[node.target], value=node.value) if node.value else ast.Pass()


def _local_names(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the arguments and assigned names of a function in the order in which they appear."""
    names: list[str] = []
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            names.append(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append(node.id)
    return list(dict.fromkeys(names))


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _digest(language: str, text: str) -> str:
    return hashlib.sha256(f"{language}\n{text}".encode()).hexdigest()[:24]
