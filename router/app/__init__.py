"""The composition root: from settings to services to the Starlette app. Nothing else builds what it builds."""

from router.app.endpoints import HTTP_ROUTES
from router.app.root import create

__all__ = ["HTTP_ROUTES", "create"]
