"""The public model map, read as a data file."""

import gzip
import subprocess
import sys

from router import modelmap
from scripts import public_data


def test_a_known_model_has_facts() -> None:
    facts = modelmap.facts("openai/gpt-5-nano")
    assert facts is not None
    assert (facts.max_input_tokens, facts.supports_vision) == (272_000, True)


def test_an_unknown_model_has_none() -> None:
    assert modelmap.facts("openai/no-such-model") is None


def test_a_bare_name_must_belong_to_the_provider_asked_for() -> None:
    assert modelmap.facts("anthropic/gpt-5-nano") is None


def test_what_the_map_does_not_say_is_unknown() -> None:
    facts = modelmap.facts("groq/openai/gpt-oss-20b")
    assert facts is not None
    assert facts.supports_vision is None


def test_the_books_and_the_map_import_neither_litellm_nor_sklearn() -> None:
    script = (
        "import sys, router.modelmap, router.ledger.shipping, router.ledger.pricelist, router.ledger.verify, "
        "router.commands.ledger, router.commands.prices; router.modelmap.facts('openai/gpt-5'); "
        "sys.exit(bool({'litellm', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_map_is_that_of_the_litellm_that_is_locked() -> None:
    made = gzip.decompress(public_data.model_map())
    assert made == gzip.decompress(modelmap.MAP_FILE.read_bytes()), "run .venv/bin/python -m scripts.public_data"
