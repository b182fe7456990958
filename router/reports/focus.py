"""Charges as FOCUS, the billing schema of the FinOps Foundation (version 1.2), written as CSV row by row.

Amounts are exact decimals. An empty cell is null. What FOCUS has no column for stands in columns with the prefix x_.
"""

import csv
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import IO

from sqlalchemy import Engine, select

from router.database.books_tables import BooksId
from router.ledger.closing import month_at
from router.ledger.export import csv_cell
from router.ledger.prices import STANDARD
from router.money import NANO_PER_USD, PICO_PER_NANO
from router.reports.charges import PER_CALL, Basis, Charge, ChargeSums, charges, read_key_names
from router.reports.reading import reading
from router.reports.window import Window
from router.types import HOUR_US

VERSION = "1.2"
CURRENCY = "USD"
PICO_PER_USD = NANO_PER_USD * PICO_PER_NANO
PER_MILLION = 1_000_000  # tokens, as price lists have them
ISSUER = "Tierwise"  # of what belongs to no provider
METERS = {
    "input_fresh": "Input tokens",
    "input_cached": "Cached input tokens",
    "input_cache_write": "Tokens written to a cache",
    "output_visible": "Output tokens",
    "output_reasoning": "Thinking tokens",
    PER_CALL: "Calls",
}
DESCRIPTIONS = {
    Basis.UNPRICED: "Calls without a price: what they cost is unknown and not in this row",
    Basis.UNMETERED: "Calls booked at an amount that no quantity explains, such as an upper bound",
    Basis.CORRECTION: "Correction of what was booked",
    Basis.NO_CALL: "Revenue and requests without a paid call",
}
FOCUS_COLUMNS = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountStatus",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
)
OWN_COLUMNS = (
    "x_Tier",
    "x_Segment",
    "x_PolicyVersion",
    "x_Model",
    "x_CallKind",
    "x_Precision",
    "x_RequestCount",
    "x_CallCount",
    "x_UnpricedCallCount",
    "x_UnpricedInputTokens",
    "x_UnpricedOutputTokens",
    "x_ExpectedRevenue",
    "x_BookedRevenue",
    "x_IsMadeUp",
)
COLUMNS_OF_FOCUS = FOCUS_COLUMNS + OWN_COLUMNS
_month = lru_cache(maxsize=4_096)(month_at)


def write_focus(engine: Engine, window: Window, file: IO[str]) -> int:
    """Write the charges of a window as CSV, as they are read; returns how many rows there are."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS_OF_FOCUS)
    written = 0
    with reading(engine, window) as books:
        account = books.connection.scalar(select(BooksId.id)) or ISSUER.lower()
        for row in focus_rows(charges(books), account, read_key_names(books)):
            writer.writerow([csv_cell(row.get(column)) for column in COLUMNS_OF_FOCUS])
            written += 1
    return written


def focus_rows(
    made: Iterator[tuple[Charge, ChargeSums]], account: str, keys: Mapping[int, str]
) -> Iterator[dict[str, object]]:
    """Lay charges out as rows by column; a column that is not there is null."""
    for charge, sums in made:
        yield _frame(charge, account, keys) | _amounts(charge, sums) | _own(charge, sums)


def _frame(charge: Charge, account: str, keys: Mapping[int, str]) -> dict[str, object]:
    """Who charges whom, for what, and when."""
    month = _month(charge.hour_us if charge.recorded_us is None else charge.recorded_us)
    provider = (charge.model or ISSUER).partition("/")[0]
    is_late = charge.recorded_us is not None and _month(charge.hour_us) != month
    key = charge.origin.key_id
    return {
        "BillingAccountId": account,
        "BillingAccountName": ISSUER,
        "BillingCurrency": CURRENCY,
        "BillingPeriodStart": _moment(month.start_us),
        "BillingPeriodEnd": _moment(month.end_us),
        "ChargeCategory": "Usage" if charge.basis is Basis.USAGE else "Adjustment",
        "ChargeClass": "Correction" if is_late else None,
        "ChargeDescription": _description(charge),
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": _moment(charge.hour_us),
        "ChargePeriodEnd": _moment(charge.hour_us + HOUR_US),
        "InvoiceIssuerName": provider,
        "ProviderName": provider,
        "PublisherName": provider,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": f"{provider} models" if charge.model else ISSUER,
        "ServiceSubcategory": "Generative AI",
        "SubAccountId": None if key is None else f"key-{key}",
        "SubAccountName": None if key is None else keys.get(key, f"key-{key}"),
    }


def _description(charge: Charge) -> str:
    what = METERS[charge.meter.bucket] if charge.meter else DESCRIPTIONS[charge.basis]
    return f"{what}, {charge.model}" if charge.model else what


def _amounts(charge: Charge, sums: ChargeSums) -> dict[str, object]:
    """What is charged. List cost is quantity times price; the rounding of the books is in the billed cost."""
    billed, meter = _usd(sums.billed_pico), charge.meter
    row: dict[str, object] = {
        "BilledCost": billed,
        "EffectiveCost": billed,
        "PricingCurrency": CURRENCY,
        "PricingCurrencyEffectiveCost": billed,
        "ListCost": billed,
        "ContractedCost": billed,
    }
    if meter is None:
        return row
    each = 1 if meter.bucket == PER_CALL else PER_MILLION
    unit_price, list_cost = _usd(meter.unit_pico * each), _usd(sums.quantity * meter.unit_pico)
    sku = f"{charge.model}/{meter.bucket}"
    return row | {
        "ListCost": list_cost,
        "ContractedCost": list_cost,
        "ListUnitPrice": unit_price,
        "ContractedUnitPrice": unit_price,
        "PricingCurrencyListUnitPrice": unit_price,
        "PricingCurrencyContractedUnitPrice": unit_price,
        "PricingCategory": "Standard" if meter.service == STANDARD else "Other",
        "PricingQuantity": _plain(Decimal(sums.quantity) / each),
        "PricingUnit": "Requests" if each == 1 else f"{PER_MILLION} Tokens",
        "ConsumedQuantity": _plain(Decimal(sums.quantity)),
        "ConsumedUnit": "Requests" if each == 1 else "Tokens",
        "SkuId": sku,
        "SkuMeter": METERS[meter.bucket],
        "SkuPriceId": f"{sku}/{meter.price_id}/{meter.service}/{meter.above_tokens}",
    }


def _own(charge: Charge, sums: ChargeSums) -> dict[str, object]:
    is_unpriced = charge.basis is Basis.UNPRICED
    return {
        "x_Tier": charge.origin.tier,
        "x_Segment": charge.origin.segment,
        "x_PolicyVersion": charge.origin.policy_version,
        "x_Model": charge.model,
        "x_CallKind": charge.kind,
        "x_Precision": charge.precision,
        "x_RequestCount": sums.requests,
        "x_CallCount": sums.calls,
        "x_UnpricedCallCount": sums.unpriced_calls,
        "x_UnpricedInputTokens": sums.unpriced_input if is_unpriced else None,
        "x_UnpricedOutputTokens": sums.unpriced_output if is_unpriced else None,
        "x_ExpectedRevenue": _revenue(sums.expected_nanousd),
        "x_BookedRevenue": _revenue(sums.booked_nanousd),
        "x_IsMadeUp": "true" if charge.origin.is_made_up else "false",
    }


def _usd(pico: int) -> str:
    return _plain(Decimal(pico) / PICO_PER_USD)


def _revenue(nano: int | None) -> str | None:
    return None if nano is None else _plain(Decimal(nano) / NANO_PER_USD)


def _plain(amount: Decimal) -> str:
    """Write a decimal without an exponent, with one digit after the point at least: whole numbers are decimals too."""
    whole, _, part = f"{amount:f}".partition(".")
    return f"{whole}.{part.rstrip('0') or '0'}"


@lru_cache(maxsize=4_096)
def _moment(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
