"""All providers of this process, each made when a model first needs it."""

import asyncio
from collections.abc import Iterable

from router.providers import counting
from router.providers.base import ModelTarget, Provider
from router.providers.batches import BatchProvider
from router.providers.catalog import family_of
from router.providers.embedded.client import EmbeddedProvider
from router.providers.litellm.client import LiteLLMProvider
from router.providers.openai.batches import OpenAIBatches
from router.providers.openai.client import OpenAICompatible
from router.providers.scripted.client import ScriptedProvider


class Providers:
    """All providers of this process. Nothing is loaded or connected before a model asks for it.

    `trust_env`: they are reached through the proxies that the environment names.
    """

    def __init__(self, scripted: ScriptedProvider | None = None, *, trust_env: bool = True) -> None:
        self._trust_env = trust_env
        self._made: dict[str, Provider] = {} if scripted is None else {"scripted": scripted}
        self._of_target: dict[ModelTarget, Provider] = {}

    def of(self, target: ModelTarget) -> Provider:
        """Return who serves a target."""
        provider = self._of_target.get(target)
        if provider is None:
            provider = self._of_target[target] = self._family(family_of(target))
        return provider

    def batches_of(self, target: ModelTarget) -> BatchProvider | None:
        """Return who takes batches for a target; None where it is to be sent none."""
        provider = self.of(target) if target.batch_window is not None else None
        return OpenAIBatches(provider) if isinstance(provider, OpenAICompatible) else None

    async def warm(self, targets: Iterable[ModelTarget]) -> None:
        """Load what these models need (weights, vocabulary, litellm), so that no request has to wait for it.

        The vocabulary only where each answer is counted: 75 MB, which who reports its usage does not cost. Where one
        does not, the first count reads it.
        """
        families = {family_of(target) for target in targets}
        if "scripted" in families:
            await asyncio.to_thread(counting.warm)
        if "embedded" in families:
            await asyncio.to_thread(self.load_embedded)
        if "litellm" in families:
            await self._litellm().load()

    def load_embedded(self) -> None:
        """Load the embedded model now, for about a second, so that its first request need not wait."""
        provider = self._family("embedded")
        assert isinstance(provider, EmbeddedProvider)
        provider.load()

    async def close(self) -> None:
        """Close every provider that was made."""
        for provider in self._made.values():
            await provider.close()

    def _litellm(self) -> LiteLLMProvider:
        provider = self._family("litellm")
        assert isinstance(provider, LiteLLMProvider)
        return provider

    def _family(self, family: str) -> Provider:
        if family not in self._made:
            self._made[family] = _make(family, trust_env=self._trust_env)
        return self._made[family]


def _make(family: str, *, trust_env: bool) -> Provider:
    match family:
        case "embedded":
            return EmbeddedProvider()
        case "scripted":
            return ScriptedProvider()
        case "openai":
            return OpenAICompatible(trust_env=trust_env)
        case _:
            return LiteLLMProvider(trust_env=trust_env)
