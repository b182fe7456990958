"""How pages write what they are given."""

from router.admin.rendering import format_code


def test_what_stands_between_backticks_is_code_and_everything_is_escaped() -> None:
    assert format_code("Run `tierwise doctor` <now>.") == "Run <code>tierwise doctor</code> &lt;now&gt;."
    assert format_code("`<b>` first") == "<code>&lt;b&gt;</code> first"
