import subprocess
import sys

import pytest

from router.providers.base import ModelTarget
from router.providers.catalog import Providers, family_of


@pytest.mark.parametrize(
    ("name", "api_base", "family"),
    [
        ("embedded/smollm2", None, "embedded"),
        ("scripted/assistant", None, "scripted"),
        ("openai/gpt-5-nano", None, "openai"),
        ("ollama/qwen3", "http://127.0.0.1:11434", "openai"),
        ("somebody/model", "http://127.0.0.1:9000/v1", "openai"),
        ("anthropic/claude-sonnet-4-5", None, "litellm"),
        ("anthropic/claude-sonnet-4-5", "https://proxy.example", "litellm"),
        ("gemini/gemini-2.5-flash", None, "litellm"),
        ("cohere_chat/command-r", None, "litellm"),
    ],
)
def test_a_models_name_and_address_tell_who_serves_it(name: str, api_base: str | None, family: str) -> None:
    assert family_of(ModelTarget(name, api_base)) == family


async def test_one_family_is_one_provider() -> None:
    providers = Providers()
    assert providers.of(ModelTarget("openai/a")) is providers.of(ModelTarget("groq/b"))
    await providers.close()


def test_nothing_slow_is_imported_for_openai_and_scripted_models() -> None:
    program = (
        "import sys; from router.providers.base import ModelTarget; from router.providers.catalog import Providers\n"
        "p = Providers(); p.of(ModelTarget('openai/x')); p.of(ModelTarget('scripted/x'))\n"
        "print([m for m in ('litellm', 'sklearn', 'xllamacpp', 'openai') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
