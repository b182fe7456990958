from pathlib import Path

import pytest

from router.commands.init import Proposal, format_config, local, propose_hosted
from router.ledger import pricelist
from router.providers.catalog import FAMILIES
from router.settings import load
from tests.commands.conftest import Command

PROPOSED = [name for name, family in FAMILIES.items() if family.first_models]


def test_whose_key_is_looked_for_first_is_proposed() -> None:
    assert PROPOSED == ["openai", "anthropic", "gemini", "deepseek", "mistral", "groq", "xai"]
    keys = dict.fromkeys(("MISTRAL_API_KEY", "GEMINI_API_KEY"), "sk")
    assert propose_hosted(keys) == propose_hosted({"GEMINI_API_KEY": "sk"})


@pytest.mark.parametrize("provider", PROPOSED)
def test_every_proposal_is_a_configuration_that_works_and_has_prices(here: Path, provider: str) -> None:
    variable = FAMILIES[provider].key_variables[0]
    proposal = propose_hosted({variable: "sk"})
    assert proposal is not None
    Path("tierwise.toml").write_text(format_config(proposal))
    found = load(Path("tierwise.toml"))
    assert found.tiers.fast.api_key_env == variable
    assert [name for name in found.model_names() if pricelist.quote(name, found.prices) is None] == []


def test_no_key_is_written_into_the_file(tierwise: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    ran = tierwise("init")
    text = Path("tierwise.toml").read_text()
    assert (ran.code, "sk-secret" in text + ran.out) == (0, False)
    assert 'api_key_env = "OPENAI_API_KEY"' in text


def test_an_empty_key_is_none() -> None:
    assert propose_hosted({"OPENAI_API_KEY": ""}) is None


def test_of_a_local_ollama_the_smallest_and_the_largest_model_are_taken(here: Path) -> None:
    proposal = local([("middle:8b", 8), ("small:1b", 1), ("large:70b", 70)])
    assert proposal is not None
    Path("tierwise.toml").write_text(format_config(proposal))
    found = load(Path("tierwise.toml"))
    assert (found.tiers.fast.model, found.tiers.reasoning.model) == ("ollama/small:1b", "ollama/large:70b")
    assert local([]) is None


def test_an_existing_file_is_not_replaced_unless_told_so(tierwise: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk")
    Path("tierwise.toml").write_text("# mine\n")
    assert tierwise("init").code == 2
    assert Path("tierwise.toml").read_text() == "# mine\n"
    assert tierwise("init", "--force").code == 0


def test_a_place_that_cannot_be_written_is_told(tierwise: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk")
    ran = tierwise("init", "--out", "nowhere/tierwise.toml")
    assert (ran.code, "cannot be written" in " ".join(ran.err.split())) == (2, True)


def test_the_file_says_why_it_says_what_it_says() -> None:
    assert "because" in format_config(Proposal("because", "a/x", "a/y"))
