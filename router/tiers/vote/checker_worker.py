"""The process behind `checkers`: a question per line on stdin, an answer per line on stdout.

Run by path and isolated; it imports nothing of ours. Sympy, Math-Verify and jsonschema are imported here only, and
only when a question needs them.
"""

import json
import os
import resource
import signal
import sys
from functools import cache
from typing import Any

MEMORY_BYTES = 2 << 30
LAST_RESORT_SECONDS = 60  # the kernel ends a check whose parent is gone


def same_maths(a: str, b: str) -> bool | None:
    """Tell whether both are equal whichever is taken as the gold answer (verify is not symmetric)."""
    from math_verify import verify

    left, right = _expression(a), _expression(b)
    if not left or not right:
        return a == b
    # Time-outs off: they use SIGALRM; the parent's deadline kills this process instead.
    return bool(verify(left, right, timeout_seconds=None) and verify(right, left, timeout_seconds=None))


def fits_schema(value: Any, schema: dict[str, Any]) -> bool:
    """Tell whether the value satisfies the schema; raises when the schema itself is broken."""
    import jsonschema
    from referencing import Registry

    validator = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    validator.check_schema(schema)
    return bool(validator(schema, registry=Registry()).is_valid(value))


@cache
def _expression(text: str) -> list[Any]:
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    return list(
        parse(
            f"${text}$",
            extraction_config=[LatexExtractionConfig(), ExprExtractionConfig()],
            parsing_timeout=None,
        )
    )


def answer(question: dict[str, Any]) -> bool | None:
    """Answer one question; what breaks inside a check is no answer."""
    try:
        match question["op"]:
            case "maths":
                return same_maths(question["a"], question["b"])
            case "schema":
                return fits_schema(question["value"], question["schema"])
            case "load" if question["kind"] == "maths":
                # Whatever is built at the first expression of a kind is built here.
                return same_maths(r"\frac{(x+1)^2}{\sqrt{2}}", r"\frac{x^2+2x+1}{\sqrt{2}}")
            case "load":
                return fits_schema(1, {})
            case _:
                return None
    except Exception:  # sympy raises anything on odd input, a broken schema raises too: None is "not known"
        return None


def main() -> None:
    """Answer until stdin ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    answers, sys.stdout = sys.stdout, sys.stderr
    is_modest = False
    for line in sys.stdin:
        signal.alarm(LAST_RESORT_SECONDS)
        question = json.loads(line)
        if question["op"] != "load" and not is_modest:
            os.nice(4)  # answering and loading come before checking
            is_modest = True
        answers.write(json.dumps(answer(question)) + "\n")
        answers.flush()
        signal.alarm(0)


if __name__ == "__main__":
    main()
