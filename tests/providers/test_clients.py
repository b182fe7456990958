import subprocess
import sys

from router.providers.base import ModelTarget
from router.providers.clients import Providers


async def test_one_family_is_one_provider() -> None:
    providers = Providers()
    assert providers.of(ModelTarget("openai/a")) is providers.of(ModelTarget("groq/b"))
    await providers.close()


def test_nothing_slow_is_imported_for_openai_and_scripted_models() -> None:
    program = (
        "import sys; from router.providers.base import ModelTarget; from router.providers.clients import Providers\n"
        "p = Providers(); p.of(ModelTarget('openai/x')); p.of(ModelTarget('scripted/x'))\n"
        "print([m for m in ('litellm', 'sklearn', 'xllamacpp', 'openai') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
