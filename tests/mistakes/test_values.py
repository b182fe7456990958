import os
from pathlib import Path

import pytest

from router.mistakes.lines import line_of
from router.mistakes.names import closest
from router.settings import WrongSetting, describe_unknown_variables, load

TEXT = """# wiring
[server]
port = 80

[tiers.fast]  # cheap
model = "openai/gpt-5-nano"
[tiers.parallel]
models = [
  "openai/a",
  "openai/model",
]
judge = { model = "openai/b" }
note = '''
port = 9
'''
[models."gpt-5"]
model = "openai/gpt-5"
"""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("TIERWISE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def wrong(text: str) -> str:
    Path("tierwise.toml").write_text(text)
    with pytest.raises(WrongSetting) as caught:
        load(Path("tierwise.toml"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("server", "port"), 3),
        (("tiers", "fast"), 5),
        (("tiers", "fast", "model"), 6),
        (("tiers", "parallel", "models", 1), 8),
        (("tiers", "parallel", "judge", "model"), 12),
        (("models", "gpt-5", "model"), 17),
        (("tiers", "fast", "effort"), 5),  # its table, where the key is not set
        (("admin", "enabled"), None),
        ((), None),
    ],
)
def test_a_key_is_found_in_its_line(keys: tuple[str | int, ...], line: int | None) -> None:
    assert line_of(TEXT, keys) == line


def test_a_name_that_is_like_none_is_taken_for_none() -> None:
    assert closest("opnai", ("openai", "ollama")) == "openai"
    assert closest("zzz", ("openai", "ollama")) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[server]\nprot = 1\n", "line 2: server.prot: unknown key; did you mean server.port?"),
        ("[sever]\nport = 1\n", "line 1: sever: unknown key; did you mean server?"),
        ("cors_origins = []\n", "line 1: cors_origins: unknown key; did you mean server.cors_origins?"),
        ("[tiers.slow]\n", "line 1: tiers.slow: unknown key; there are fast, parallel, reasoning"),
        ("[models.a]\nmodle = 'openai/x'\n", "line 2: models.a.modle: unknown key; did you mean models.a.model?"),
        ('\n[server]\nport = "x"\n', "line 3: server.port: a whole number is wanted"),
        ("[server]\nport = 70000\n", "line 2: server.port: at most 65535 is wanted"),
        ("[admin]\nenabled = 'perhaps'\n", "line 2: admin.enabled: true or false is wanted"),
        ("[server]\nhost = 5\n", "line 2: server.host: text in quotes is wanted"),
        ("[server]\ncors_origins = 5\n", "line 2: server.cors_origins: a list in brackets is wanted"),
        ("server = 5\n", "line 1: server: a table is wanted"),
        ('[server]\nauth = "none"\n', "line 2: server.auth: one of these is wanted: 'auto' or 'required'"),
        (
            '[prices."openai/x"]\ninput = 1\n',
            "line 1: prices.openai/x.output: is missing (USD per million visible output tokens)",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_what_was_meant(text: str, says: str) -> None:
    assert wrong(text) == f"tierwise.toml, {says}"


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("gpt-5-nano", "a model is named with its provider, PROVIDER/MODEL; did you mean openai/gpt-5-nano?"),
        ("our-own", "a model is named with its provider, PROVIDER/MODEL, such as openai/gpt-5-nano"),
        ("OpenAI/gpt-5", "a provider is written in small letters; did you mean openai/gpt-5?"),
        ("opnai/gpt-5", "no provider goes by the name opnai; did you mean openai/gpt-5?"),
        ("antropic/claude", "no provider goes by the name antropic; did you mean anthropic/claude?"),
    ],
)
def test_a_model_without_its_provider_is_told_which_was_meant(model: str, says: str) -> None:
    assert wrong(f'[tiers.fast]\nmodel = "{model}"\n') == f"tierwise.toml, line 2: tiers.fast.model: {says}"
    told = wrong(f'[tiers.parallel]\nmodels = ["openai/x", "{model}"]\n')
    assert told.startswith("tierwise.toml, line 2: tiers.parallel.models: ")
    assert told.endswith(says)


@pytest.mark.parametrize("model", ["perplexity/sonar", "moonshot/kimi", "nobody_knows_it/x", "hosted_vllm/a/b"])
def test_what_litellm_knows_or_nobody_does_is_no_misspelling(model: str) -> None:
    Path("tierwise.toml").write_text(f'[tiers.fast]\nmodel = "{model}"\n')
    assert load(Path("tierwise.toml")).tiers.fast.model == model


def test_with_an_address_any_provider_will_do() -> None:
    Path("tierwise.toml").write_text('[tiers.fast]\napi_base = "http://127.0.0.1:9/v1"\nmodel = "opnai/x"\n')
    assert load(Path("tierwise.toml")).tiers.fast.model == "opnai/x"


def test_what_a_variable_sets_wrong_is_said_of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERWISE_SERVER__PORT", "x")
    assert wrong("[server]\nport = 1\n") == "the variable TIERWISE_SERVER__PORT: server.port: a whole number is wanted"


def test_what_an_option_sets_wrong_is_said_of_the_option() -> None:
    with pytest.raises(WrongSetting, match=r"^--port: server\.port: at most 65535 is wanted$"):
        load(None, {"server": {"port": 70_000}})


def test_a_variable_that_sets_nothing_is_told_what_was_meant() -> None:
    found = dict(describe_unknown_variables({"TIERWISE_SERVR__PORT": "1", "TIERWISE_ZZZ": "1"}))
    assert found["TIERWISE_SERVR__PORT"] == "sets nothing; did you mean TIERWISE_SERVER__PORT?"
    assert found["TIERWISE_ZZZ"] == "sets nothing"


@pytest.mark.parametrize("table", ["api_key = 7\n", 'api_base = "sk-secret"\n', 'effort = "sk-secret"\n'])
def test_no_value_is_repeated(table: str) -> None:
    assert "sk-secret" not in wrong(f"[tiers.fast]\n{table}")


def test_a_variable_that_holds_no_json_is_named_without_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERWISE_MODELS", '{"g": sk-secret')
    says = "the variable TIERWISE_MODELS: models: a table is wanted, as JSON in one line"
    assert wrong("") == says


def test_a_fallback_of_a_misspelled_provider_is_told_which_was_meant() -> None:
    says = wrong('[fallbacks]\n"openai/a" = ["gemni/b"]\n')
    assert says == "tierwise.toml, line 1: fallbacks: no provider goes by the name gemni; did you mean gemini/b?"
