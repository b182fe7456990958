"""Other services' names of models, for clients whose model cannot be set: each stands for one of ours."""

from collections.abc import Collection, Iterator, Mapping

ANY = "*"


class Aliases:
    """Names as `[aliases]` maps them; one that ends in `*` stands for all that begin so, the longest of them counts.

    Names of ours stand for themselves, whatever begins as they do.
    """

    def __init__(self, aliases: Mapping[str, str], ours: Collection[str]) -> None:
        self._ours = frozenset(ours)
        self._exact = {name: model for name, model in aliases.items() if not name.endswith(ANY)}
        starts = sorted((name for name in aliases if name.endswith(ANY)), key=len, reverse=True)
        self._starts = [(name.removesuffix(ANY), aliases[name]) for name in starts]
        self._has_any = bool(aliases)

    def __bool__(self) -> bool:
        return self._has_any

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """The whole names, each with what it stands for."""
        return iter(self._exact.items())

    def resolve(self, name: str) -> str:
        """Return the name of ours that a name stands for; itself where it stands for none."""
        found = self._exact.get(name)
        if found is None and self._starts and name not in self._ours:
            found = next((model for start, model in self._starts if name.startswith(start)), None)
        return name if found is None else found
