"""Is the open canary harmful? The evidence, and a monitor that acts only through `router.policies.versions`."""
