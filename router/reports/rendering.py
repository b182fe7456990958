"""Reports as HTML files: one template each, filled once. jinja2 is imported when the first is written."""


def render(template: str, **context: object) -> str:
    """Fill a template of this room; what it names and is not given raises UndefinedError."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("router.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**context)
