"""Make the two data files that the package carries of litellm's and tiktoken's: `python -m scripts.public_data`.

What is publicly known of models (litellm's map, without what nobody here reads) and the ranks of a vocabulary.
"""

import gzip
import json
import re
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from router import modelmap

READ = re.compile(
    r"litellm_provider|mode|source|max_(?:input|output)_tokens|input_cost_per_request"
    r"|supports_(?:vision|function_calling|response_schema|reasoning)"
    r"|(?:(?:input|output)_cost_per_token|output_cost_per_reasoning_token|cache_(?:read|creation)_input_token_cost)"
    r"(?:_above_\d+k_tokens)?(?:_flex|_priority|_batches)?"
)
MAP_FILE = "model_prices_and_context_window_backup.json"
PROVIDERS_FILE = "provider_endpoints_support_backup.json"


def model_map() -> bytes:
    """Read litellm's map and leave what is read here, packed; the same for the same release of litellm."""
    folder = _folder("litellm")
    models: dict[str, dict[str, msgspec.Raw]] = msgspec.json.decode(
        (folder / MAP_FILE).read_bytes(), type=dict[str, dict[str, msgspec.Raw]]
    )
    listed = json.loads((folder / PROVIDERS_FILE).read_bytes())["providers"]
    kept = {name: {key: raw for key, raw in entry.items() if READ.fullmatch(key)} for name, entry in models.items()}
    document: dict[str, Any] = {
        "source": f"litellm {version('litellm')} model map",
        "providers": sorted(listed),
        "models": kept,
    }
    return gzip.compress(msgspec.json.encode(document), 9, mtime=0)


def _folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


if __name__ == "__main__":
    modelmap.MAP_FILE.write_bytes(model_map())
    print(f"{modelmap.MAP_FILE}: {modelmap.MAP_FILE.stat().st_size:,} bytes")
