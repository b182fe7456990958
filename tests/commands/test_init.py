from pathlib import Path

import pytest

from router.commands import proposals
from router.commands.proposals import (
    LocalServer,
    Proposal,
    format_config,
    models_of_tags,
    propose_hosted,
    propose_server,
)
from router.ledger import pricelist
from router.providers.catalog import FAMILIES
from router.providers.wiring import TierWiring, families_with_key
from router.settings import load
from tests.commands.conftest import Command, Terminal

PROPOSED = [name for name, family in FAMILIES.items() if family.first_models]


def test_whose_key_is_looked_for_first_is_proposed() -> None:
    assert PROPOSED == ["openai", "anthropic", "gemini", "deepseek", "mistral", "groq", "xai", "openrouter"]
    assert families_with_key(dict.fromkeys(("MISTRAL_API_KEY", "GEMINI_API_KEY"), "sk")) == [
        "gemini",
        "mistral",
    ]


@pytest.mark.parametrize("provider", PROPOSED)
def test_every_proposal_is_a_configuration_that_works_and_has_prices(here: Path, provider: str) -> None:
    variable = FAMILIES[provider].key_variables[0]
    proposal = propose_hosted(provider, {variable: "sk"})
    Path("tierwise.toml").write_text(format_config(proposal))
    found = load(Path("tierwise.toml"))
    assert found.tiers.fast.api_key_env == variable
    unpriced = [name for name in found.model_names() if pricelist.quote(name, found.prices) is None]
    if provider == "openrouter":  # whose prices nobody lists: the file has a place for them
        assert all(f'# [prices."{name}"]' in Path("tierwise.toml").read_text() for name in unpriced)
    else:
        assert unpriced == []


def test_no_key_is_written_into_the_file(tierwise: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    ran = tierwise("init")
    text = Path("tierwise.toml").read_text()
    assert (ran.code, "sk-secret" in text + ran.out) == (0, False)
    assert 'api_key_env = "OPENAI_API_KEY"' in text


def test_an_empty_key_is_none() -> None:
    assert families_with_key({"OPENAI_API_KEY": ""}) == []


def a_tag(name: str, size: int, family: str = "llama") -> dict[str, object]:
    return {"name": name, "size": size, "details": {"family": family, "families": [family]}}


def test_of_a_local_ollama_the_smallest_and_the_largest_model_are_taken(here: Path) -> None:
    models = models_of_tags({"models": [a_tag("middle:8b", 8), a_tag("small:1b", 1), a_tag("large:70b", 70)]})
    proposal = propose_server(LocalServer("ollama", tuple(models)))
    assert proposal is not None
    Path("tierwise.toml").write_text(format_config(proposal))
    found = load(Path("tierwise.toml"))
    assert (found.tiers.fast.model, found.tiers.reasoning.model) == ("ollama/small:1b", "ollama/large:70b")


EMBEDDINGS = (
    "nomic-embed-text:latest",
    "mxbai-embed-large",
    "all-minilm:22m",
    "bge-m3",
    "snowflake-arctic-embed2",
    "qwen3-embedding:0.6b",
    "text-embedding-nomic-embed-text-v1.5",
    "BAAI/bge-reranker-v2-m3",
    "intfloat/e5-mistral-7b-instruct",
    "granite-embedding:30m",
)


def serve_models(monkeypatch: pytest.MonkeyPatch, answers: dict[str, dict[str, object]]) -> None:
    """What the addresses of this machine answer."""
    monkeypatch.setattr(proposals, "_ask", answers.get)


def test_models_that_make_vectors_are_never_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = [*(a_tag(name, 1) for name in EMBEDDINGS), a_tag("odd:1b", 1, "nomic-bert"), a_tag("llama3.2:3b", 3)]
    listed = [*({"id": name} for name in EMBEDDINGS), {"id": "Qwen/Qwen3-8B"}]
    serve_models(
        monkeypatch,
        {"http://127.0.0.1:11434/api/tags": {"models": tags}, "http://127.0.0.1:8000/v1/models": {"data": listed}},
    )
    found = {server.family: server.models for server in proposals.find_servers()}
    assert found == {"ollama": ("llama3.2:3b",), "hosted_vllm": ("Qwen/Qwen3-8B",)}


def test_an_ollama_with_nothing_but_vectors_is_passed_over(tierwise: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    serve_models(monkeypatch, {"http://127.0.0.1:11434/api/tags": {"models": [a_tag("nomic-embed-text", 1)]}})
    assert "the embedded model" in tierwise("init").out
    assert load(Path("tierwise.toml")).uses_embedded()


AZURE = ("--provider", "azure", "--api-base", "https://ours.openai.azure.com", "--fast", "small", "--reasoning", "big")


@pytest.mark.parametrize(
    ("options", "fast", "reasoning", "key"),
    [
        (AZURE, "azure/small", "azure/big", "AZURE_API_KEY"),
        (
            ("--provider", "openrouter"),
            "openrouter/openai/gpt-5-nano",
            "openrouter/openai/gpt-5-mini",
            "OPENROUTER_API_KEY",
        ),
        (("--provider", "openrouter", "--fast", "a/b"), "openrouter/a/b", "openrouter/a/b", "OPENROUTER_API_KEY"),
        (
            ("--provider", "hosted_vllm", "--fast", "Qwen/Qwen3-8B"),
            "hosted_vllm/Qwen/Qwen3-8B",
            "hosted_vllm/Qwen/Qwen3-8B",
            None,
        ),
        (("--fast", "ollama/a:1b", "--reasoning", "ollama/b:8b"), "ollama/a:1b", "ollama/b:8b", None),
        (
            ("--fast", "m", "--api-base", "http://10.0.0.7:9/v1", "--api-key-env", "OURS"),
            "openai/m",
            "openai/m",
            "OURS",
        ),
        (("--provider", "embedded"), "embedded/smollm2", "embedded/smollm2", None),
    ],
)
def test_options_answer_beforehand(
    tierwise: Command, options: tuple[str, ...], fast: str, reasoning: str, key: str | None
) -> None:
    ran = tierwise("init", *options)
    found = load(Path("tierwise.toml")).tiers
    assert (ran.code, found.fast.model, found.reasoning.model) == (0, fast, reasoning)
    assert (found.fast.api_key_env, found.parallel.models) == (key, (fast,))
    assert tierwise("doctor", "--offline").code == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--provider", "opnai"), "did you mean openai?"),
        (("--provider", "azure", "--fast", "small"), "https://NAME.openai.azure.com"),
        (("--provider", "bedrock"), "say which model of bedrock is the fast one"),
        (("--fast", "m", "--api-base", "example.com"), "tiers.fast.api_base"),
    ],
)
def test_what_options_leave_open_is_said_and_nothing_is_written(
    tierwise: Command, options: tuple[str, ...], says: str
) -> None:
    ran = tierwise("init", *options)
    assert (ran.code, Path("tierwise.toml").exists()) == (2, False)
    assert says in " ".join(ran.err.replace("│", " ").split())


def test_on_a_terminal_it_asks(tierwise: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_API_KEY", "sk")
    tags = [a_tag("a:1b", 1), a_tag("b:3b", 3), a_tag("c:70b", 70)]
    serve_models(monkeypatch, {"http://127.0.0.1:11434/api/tags": {"models": tags}})
    ran = tierwise("init", stdin=Terminal("9\n2\n\nb:3b\n"))
    found = load(Path("tierwise.toml")).tiers
    assert (ran.code, found.fast.model, found.reasoning.model) == (0, "ollama/a:1b", "ollama/b:3b")
    assert "1  mistral (MISTRAL_API_KEY is set)" in ran.out
    assert "2  Ollama on this machine (3 models)" in ran.out


def test_on_a_terminal_azure_is_asked_for(tierwise: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    serve_models(monkeypatch, {})
    ran = tierwise("init", stdin=Terminal("1\nhttps://ours.openai.azure.com\nsmall\nbig\n\n"))
    found = load(Path("tierwise.toml")).tiers
    assert (ran.code, found.reasoning.model, found.reasoning.api_key_env) == (0, "azure/big", "AZURE_API_KEY")


def test_on_a_terminal_a_server_of_ones_own_is_asked_for(tierwise: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: dict[str, object] = {"data": [{"id": "Qwen/Qwen3-8B"}, {"id": "BAAI/bge-m3"}]}
    serve_models(monkeypatch, {"http://10.0.0.7:9000/v1/models": listed})
    ran = tierwise("init", stdin=Terminal("3\nhttp://10.0.0.7:9000/v1\n\n\n\n"))
    found = load(Path("tierwise.toml")).tiers
    assert (ran.code, found.fast.model, found.fast.api_key_env) == (0, "hosted_vllm/Qwen/Qwen3-8B", None)
    assert found.fast.api_base == "http://10.0.0.7:9000/v1"


@pytest.mark.parametrize(("answer", "code"), [("n", 2), ("y", 0)])
def test_on_a_terminal_an_existing_file_is_asked_about(
    tierwise: Command, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    serve_models(monkeypatch, {})
    Path("tierwise.toml").write_text("# mine\n")
    ran = tierwise("init", stdin=Terminal(f"{answer}\n4\n"))
    assert (ran.code, Path("tierwise.toml").read_text() == "# mine\n") == (code, code != 0)


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
    assert "because" in format_config(Proposal("because", TierWiring("a/x", "a/y")))
