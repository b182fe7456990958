import os
import re
import tomllib
from pathlib import Path

import pytest

from router.settings import CallSettings, Settings, WrongSetting, config_path, load, unknown_variables

FULL = """
database_url = "sqlite:///elsewhere.db"
state_dir = "state"
[server]
port = 9000
auth = "required"
[tiers.fast]
model = "openai/gpt-5-nano"
effort = "minimal"
[tiers.reasoning]
model = "openai/gpt-5-mini"
effort = "medium"
max_thinking_tokens = 8192
[tiers.parallel]
models = ["openai/gpt-5-nano"]
max_samples = 8
confidence = 0.95
escalate_to = "reasoning"
[models."gpt-5"]
model = "openai/gpt-5"
[fallbacks]
"openai/gpt-5-nano" = ["gemini/gemini-2.5-flash-lite"]
[policy]
parallel_threshold = 0.10
reasoning_threshold = 0.25
max_deep_share = 0.10
explore = 0.01
shadow = 0.005
[prices."openai/gpt-5-nano"]
input = 0.05
cached_input = 0.005
output = 0.40
[revenue]
ecpm_usd = 25
ads_per_query = 0.058
publisher_share = 1.0
[segments.free]
[segments.plus]
"""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("TIERWISE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def a_file(text: str) -> Path:
    path = Path("tierwise.toml")
    path.write_text(text)
    return path


def test_without_a_file_everything_runs_on_the_embedded_model() -> None:
    found = load(None)
    assert found.model_names() == {"embedded/smollm2"}
    assert found.uses_embedded()
    assert (found.server.host, found.server.port, found.server.auth) == ("127.0.0.1", 8080, "auto")


def test_the_example_of_the_contract_is_read_to_the_letter() -> None:
    found = load(a_file(FULL))
    assert found.tiers.reasoning.max_thinking_tokens == 8192
    assert found.models["gpt-5"].model == "openai/gpt-5"
    assert str(found.prices["openai/gpt-5-nano"].cached_input) == "0.005"
    assert found.segments.keys() == {"free", "plus"}
    assert not found.uses_embedded()


def test_every_callable_model_is_named_fallbacks_included() -> None:
    named = load(a_file(FULL)).model_names()
    assert named == {"openai/gpt-5-nano", "openai/gpt-5-mini", "openai/gpt-5", "gemini/gemini-2.5-flash-lite"}


def test_the_environment_beats_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERWISE_SERVER__PORT", "9100")
    monkeypatch.setenv("TIERWISE_DATABASE_URL", "sqlite:///other.db")
    found = load(a_file(FULL))
    assert (found.server.port, found.server.auth, found.database_url) == (9100, "required", "sqlite:///other.db")


def test_a_command_line_option_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERWISE_SERVER__PORT", "9100")
    found = load(a_file(FULL), {"server": {"port": 9200}})
    assert (found.server.port, found.server.auth) == (9200, "required")


def test_tables_with_dotted_keys_are_json_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERWISE_PRICES", '{"openai/gpt-4.1": {"input": "2.00", "output": "8"}}')
    assert str(load(None).prices["openai/gpt-4.1"].input) == "2.00"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("prot = 1", "prot"),
        ("[serverr]\nport = 1", "serverr"),
        ("[server]\nprot = 1", "server.prot"),
        ('[server]\nport = "x"', "server.port"),
        ("[server]\nport = 70000", "server.port"),
        ("server = 5", "server"),
        ('[server]\nauth = "none"', "server.auth"),
        ("[server]\nread_timeout_s = nan", "server.read_timeout_s"),
        ("[server]\nshutdown_timeout_s = inf", "server.shutdown_timeout_s"),
        ('[tiers.fast]\nmodel = "gpt-5"', "tiers.fast.model"),
        ('[tiers.fast]\neffort = "huge"', "tiers.fast.effort"),
        ("[tiers.fast]\nability = nan", "tiers.fast.ability"),
        ('[tiers.fast]\ncapabilities = ["flying"]', "tiers.fast.capabilities"),
        ('[tiers.fast]\napi_key = "a"\napi_key_env = "B"', "tiers.fast"),
        ('[tiers.fast]\napi_base = "example.com"', "tiers.fast.api_base"),
        ('[tiers.fast]\napi_base = "http://[::1/v1"', "tiers.fast.api_base"),
        ('[tiers.parallel]\napi_base = "http://h:port/v1"', "tiers.parallel.api_base"),
        ('[models.ours]\nmodel = "anthropic/x"\napi_base = "https://h:99999"', "models.ours.api_base"),
        ('[models.ours]\nmodel = "ollama/x"\napi_base = "http:///v1"', "models.ours.api_base"),
        ("[tiers.slow]\n", "tiers.slow"),
        ("[tiers.parallel]\nmodels = []", "tiers.parallel.models"),
        ("[tiers.parallel]\nmax_samples = 3", "tiers.parallel.confidence"),
        ("[tiers.parallel]\nconfidence = 0.99\nmax_samples = 5", "tiers.parallel.confidence"),
        ("[tiers.parallel]\nconfidence = 0.5", "tiers.parallel.confidence"),
        ('[tiers.parallel]\nescalate_to = "fast"', "tiers.parallel.escalate_to"),
        ('[models.auto]\nmodel = "openai/x"', "models.auto"),
        ('[models.fast]\nmodel = "openai/x"', "models.fast"),
        ('[fallbacks]\n"x" = ["openai/y"]', "fallbacks.x"),
        ("[policy]\nmax_deep_share = 1.5", "policy.max_deep_share"),
        ("[policy]\nexplore = nan", "policy.explore"),
        ("[policy]\nreasoning_treshold = 0.2", "policy.reasoning_treshold"),
        ("[policy]\nparallel_samples = 9", "policy.parallel_samples: 9 is more than the 8"),
        ("[policy]\nparallel_samples = 3", "policy.parallel_confidence: 0.95 needs at least 4"),
        ('[policy]\npacing = "maybe"', "policy.pacing"),
        ("[policy.segments.free]\nexplore = 0.1", "policy.segments.free.explore"),
        ("[policy.segments.free]\nmax_deep_share = 2", "policy.segments.free.max_deep_share"),
        ('[prices."a/b"]\ninput = -1\noutput = 1', "prices.a/b.input"),
        ('[prices."a/b"]\ninput = 1', "prices.a/b.output"),
        ("[revenue]\npublisher_share = 2", "revenue.publisher_share"),
        ("[segments.free]\nbudget = 1", "segments.free.budget"),
        ('[segments."Free Users"]\n', "segments.Free Users"),
    ],
)
def test_a_wrong_or_unknown_key_stops_the_start_with_its_name(text: str, key: str) -> None:
    with pytest.raises(WrongSetting) as caught:
        load(a_file(text))
    assert re.match(rf"tierwise\.toml(, line \d+)?: {re.escape(key)}", str(caught.value))


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("TIERWISE_SERVER__PORT", "x", "server.port"),
        ("TIERWISE_SERVER__PROT", "1", "server.prot"),
        ("TIERWISE_MODELS", '{"g":', "models"),
        ("TIERWISE_TIERS__FAST__MODEL", "gpt", "tiers.fast.model"),
    ],
)
def test_a_wrong_value_in_the_environment_stops_the_start_with_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, key: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(WrongSetting, match=key):
        load(None)


def test_all_wrong_keys_are_told_at_once() -> None:
    with pytest.raises(WrongSetting) as caught:
        load(a_file("[server]\nport = -1\nprot = 2"))
    assert len(str(caught.value).splitlines()) == 2


def test_an_error_never_shows_a_secret() -> None:
    with pytest.raises(WrongSetting) as caught:
        load(a_file('[tiers.fast]\napi_key = "sk-secret"\napi_key_env = "X"\neffort = "sk-secret"'))
    assert "sk-secret" not in str(caught.value)


def test_settings_shown_in_a_log_hide_keys() -> None:
    assert "sk-secret" not in repr(load(a_file('[tiers.fast]\napi_key = "sk-secret"')))


@pytest.mark.parametrize(("content", "says"), [(b"a = ", "is not TOML"), (b"\xff", "is not UTF-8")])
def test_a_file_that_is_no_toml_is_named(content: bytes, says: str) -> None:
    Path("broken.toml").write_bytes(content)
    with pytest.raises(WrongSetting, match=rf"broken\.toml: {says}"):
        load(Path("broken.toml"))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(WrongSetting, match=r"absent\.toml: cannot be read"):
        load(Path("absent.toml"))


def test_the_option_beats_the_variable_and_the_variable_the_file_that_lies_here() -> None:
    a_file("")
    assert config_path(Path("a.toml"), {"TIERWISE_CONFIG": "b.toml"}) == Path("a.toml")
    assert config_path(None, {"TIERWISE_CONFIG": "b.toml"}) == Path("b.toml")
    assert config_path(None, {}) == Path("tierwise.toml")


def test_no_file_is_needed() -> None:
    assert config_path(None, {}) is None


def test_a_variable_that_sets_nothing_is_named() -> None:
    environ = {"TIERWISE_SERVR__PORT": "1", "TIERWISE_SERVER__PORT": "1", "TIERWISE_CONFIG": "x", "HOME": "/"}
    assert unknown_variables(environ) == ["TIERWISE_SERVR__PORT"]
    assert unknown_variables({"TIERWISE_ADMIN_SECRET": "x", "TIERWISE_STATE_DIR": "x"}) == []


def test_settings_cannot_be_changed_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(None).state_dir = Path("x")  # type: ignore[misc]


def test_the_whole_example_has_no_key_that_is_unknown() -> None:
    assert tomllib.loads(FULL).keys() <= Settings.model_fields.keys()


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
def test_a_byte_order_mark_and_windows_line_ends_are_read_over(mark: bytes) -> None:
    Path("tierwise.toml").write_bytes(mark + b"[server]\r\nport = 81\r\n")
    assert load(Path("tierwise.toml")).server.port == 81


def test_a_file_in_utf_16_is_read_by_its_mark() -> None:
    Path("tierwise.toml").write_bytes("[server]\nport = 81\n".encode("utf-16"))
    assert load(Path("tierwise.toml")).server.port == 81


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", " {}\t", "\ufeff{}", "\u200b{}\u00a0"])
def test_what_stands_around_a_key_is_taken_off(around: str) -> None:
    held = around.format("sk-good")
    by_variable = CallSettings(api_key_env="K").target_of("openai/m", {"K": held})
    of_family = CallSettings().target_of("openai/m", {"OPENAI_API_KEY": held})
    written = CallSettings(api_key=held).target_of("openai/m", {})  # type: ignore[arg-type]
    assert by_variable.api_key == of_family.api_key == written.api_key == "sk-good"
    assert CallSettings(api_key_env="K").target_of("openai/m", {"K": " \n"}).api_key is None


@pytest.mark.parametrize("held", ["sk-a\nsk-b", "sk good", "sk-gööd"])
def test_a_key_that_no_header_can_carry_stops_the_start_and_is_not_shown(held: str) -> None:
    with pytest.raises(WrongSetting, match=r"^KEY: is no key") as caught:
        CallSettings(api_key_env="KEY").target_of("openai/m", {"KEY": held})
    assert held not in str(caught.value)


def test_an_allowance_without_marks_is_a_contradiction() -> None:
    with pytest.raises(WrongSetting, match="needs marks"):
        load(a_file("[limits]\nuser_deep_per_day = 3\n[marks]\nenabled = false\n"))


def test_limits_are_counted_in_memory_or_in_redis() -> None:
    assert load(a_file("[limits]\nstorage = 'redis://cache:6379/0'\n")).limits.storage == "redis://cache:6379/0"
    with pytest.raises(WrongSetting, match="storage"):
        load(a_file("[limits]\nstorage = 'memcached://cache'\n"))
