"""A request as the service sees it once an endpoint has read, checked and authenticated it.

The first of three stages: `InferenceRequest` -> `tiers.base.TierRequest` -> `providers.base.ProviderRequest`.
"""

from typing import Any

import msgspec

from router.types import DEFAULT_SEGMENT, UNKNOWN_COUNTRY, RelayedCall, Tier


class InferenceRequest(msgspec.Struct, frozen=True):
    """A checked and authenticated request, as any endpoint hands it in.

    `input_bytes` is the size of the request body: no text has more tokens than bytes.
    """

    request_id: str
    model: str
    messages: list[dict[str, Any]]
    params: dict[str, Any]
    input_bytes: int
    n: int = 1
    effort: str | None = None
    max_visible_tokens: int | None = None
    max_output_tokens: int | None = None
    streamed: bool = False
    key_id: int | None = None
    segment: str = DEFAULT_SEGMENT
    country: str = UNKNOWN_COUNTRY
    surface: str = ""  # where it was asked, as far as assumptions of revenue tell surfaces apart
    conversation: str | None = None  # as the client names it
    user: str | None = None  # the end user, as the client names one
    allowed_tiers: frozenset[Tier] = frozenset(Tier)
    allowed_models: frozenset[str] | None = None  # of those with names of their own; None: all
    user_deep_per_day: int | None = None  # deep answers that the end user may have; None: no limit
    user_nanousd_per_day: int | None = None  # what they may cost
    max_cost_nanousd: int | None = None  # by the key or a header; the policy may have another
    relay: RelayedCall | None = None  # passed through to an explicit model; its body stands among the parameters
