import subprocess
import sys

PROGRAM = """
import asyncio
from router.providers.base import ModelTarget, ProviderRequest
from router.providers.embedded.client import EmbeddedProvider

async def main():
    provider = EmbeddedProvider()
    provider.load()
    messages = [{"role": "user", "content": "Tell a story"}]
    request = ProviderRequest(ModelTarget("embedded/smollm2"), messages, {}, max_visible_tokens=1500)
    stream = provider.stream(request)
    await anext(stream)
    task = asyncio.ensure_future(provider.complete(request))
    await asyncio.sleep(0.3)

asyncio.run(main())
"""


def test_the_interpreter_ends_though_generations_are_under_way() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


CLOSED_AT_ONCE = """
from router.providers.embedded.client import weights_of
from router.providers.embedded.engine import LlamaEngine

for _ in range(6):
    engine = LlamaEngine(weights_of("smollm2"))
    engine.load()
    engine.close()
"""


def test_an_engine_that_is_closed_as_soon_as_it_is_loaded_ends() -> None:
    done = subprocess.run([sys.executable, "-c", CLOSED_AT_ONCE], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
