"""The files that admin pages load: our own styles and scripts, and Plotly's script out of its Python package."""

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from router.api.browser.assets import SHARED, Assets

PLOTLY = "plotly.min.js"


def _plotly() -> Path:
    """Find the script without importing the package."""
    spec = find_spec("plotly")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "package_data" / PLOTLY


ASSETS = Assets(
    "/admin/static",
    SHARED,
    Path(__file__).parent / "static",
    others={PLOTLY: _plotly},
    salt=lambda: version("plotly"),
)
