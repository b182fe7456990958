"""Units by their English names: what each measures, and how many base units it is. Pure.

Names in other languages are brought to these by `words.UNITS`.
"""

from fractions import Fraction

# unit -> (base unit, factor): units that convert by a factor
FACTORS: dict[str, tuple[str, Fraction]] = {
    name: (base, Fraction(factor))
    for base, table in {
        "m": {
            "mm": "1/1000", "millimeter": "1/1000", "millimetre": "1/1000", "cm": "1/100", "centimeter": "1/100",
            "centimetre": "1/100", "m": "1", "meter": "1", "metre": "1", "km": "1000", "kilometer": "1000",
            "kilometre": "1000", "in": "0.0254", "inch": "0.0254", "inches": "0.0254", "ft": "0.3048", "foot": "0.3048",
            "feet": "0.3048", "yd": "0.9144", "yard": "0.9144", "mi": "1609.344", "mile": "1609.344",
        },
        "g": {
            "mg": "1/1000", "milligram": "1/1000", "g": "1", "gram": "1", "kg": "1000", "kilogram": "1000",
            "kilo": "1000", "tonne": "1000000", "lb": "453.59237", "lbs": "453.59237", "pound": "453.59237",
            "oz": "28.349523125", "ounce": "28.349523125",
        },
        "s": {
            "ms": "1/1000", "millisecond": "1/1000", "s": "1", "sec": "1", "second": "1", "min": "60", "minute": "60",
            "h": "3600", "hr": "3600", "hour": "3600", "day": "86400", "week": "604800",
        },
        "month": {"month": "1", "year": "12", "decade": "120", "century": "1200"},
        "l": {
            "ml": "1/1000", "milliliter": "1/1000", "millilitre": "1/1000", "cl": "1/100", "l": "1", "liter": "1",
            "litre": "1",
        },
        "m/s": {"m/s": "1", "km/h": "5/18", "kmh": "5/18", "kph": "5/18", "mph": "0.44704"},
        "byte": {"byte": "1", "kb": "1000", "mb": "1000000", "gb": "1000000000", "tb": "1000000000000"},
        "watt": {"w": "1", "watt": "1", "kw": "1000", "kilowatt": "1000", "mw": "1000000"},
        "celsius": {"celsius": "1", "degree c": "1", "degree celsius": "1"},
        "fahrenheit": {"fahrenheit": "1", "degree f": "1", "degree fahrenheit": "1"},
        "kelvin": {"kelvin": "1"},
        "": {"dollar": "1", "usd": "1", "cent": "1/100"},
        **{name: {name: "1"} for name in ("euro", "sterling", "yen", "yuan", "rupee", "ruble", "won")},
    }.items()
    for name, factor in table.items()
}  # fmt: skip

# scale of temperature -> (degrees Celsius in one of its degrees, degrees Celsius at its zero)
SCALES = {
    "celsius": (Fraction(1), Fraction(0)),
    "c": (Fraction(1), Fraction(0)),
    "kelvin": (Fraction(1), Fraction("-273.15")),
    "fahrenheit": (Fraction(5, 9), Fraction(-160, 9)),
    "f": (Fraction(5, 9), Fraction(-160, 9)),
}
