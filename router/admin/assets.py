"""The files that admin pages load: our own styles and scripts, and Plotly's script where its package is installed."""

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from router.api.browser.assets import SHARED, Assets
from router.mistakes.extras import is_installed

PLOTLY = "plotly.min.js"
HAS_CHARTS = is_installed("reports")  # pages say in words what is missing where it is not


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
    others={PLOTLY: _plotly} if HAS_CHARTS else None,
    salt=lambda: version("plotly") if HAS_CHARTS else "",
)
