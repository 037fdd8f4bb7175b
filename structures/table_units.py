"""Units of measure and money: what a header or a cell names, and how to bring two of a kind to one."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit.

    Attributes:
        kind: What it measures; units of one kind convert into each other. Empty for plain numbers.
        factor: How many of the kind's smallest listed unit it is.
        label: How it is written, such as ``EUR million``.
    """

    kind: str
    factor: float
    label: str


PLAIN = Unit("", 1, "")

_CURRENCIES = {
    "EUR": ("€", "eur", "euro", "euros"),
    "USD": ("$", "us$", "usd", "dollar", "dollars"),
    "GBP": ("£", "gbp", "pound", "pounds"),
    "JPY": ("¥", "jpy", "yen"),
    "CHF": ("chf", "francs"),
    "SEK": ("sek",),
    "NOK": ("nok",),
    "DKK": ("dkk",),
    "CNY": ("cny", "rmb", "yuan"),
    "INR": ("₹", "inr", "rupees"),
}
_CURRENCY_OF = {spelling: code for code, spellings in _CURRENCIES.items() for spelling in spellings}
CURRENCY_SIGNS = "€$£¥₹"

_SCALES = {
    "thousand": (1e3, ("k", "thousand", "thousands", "tsd", "000", "000s")),
    "million": (1e6, ("m", "mn", "mio", "mill", "million", "millions")),
    "billion": (1e9, ("bn", "bio", "billion", "billions")),
    "trillion": (1e12, ("tn", "trillion", "trillions")),
}
_SCALE_OF = {s: (word, factor) for word, (factor, spellings) in _SCALES.items() for s in spellings}
# Small letters say "thousand" or "million" only beside a currency: alone, "m" is metre.
_LONE_SCALES = {s for s in _SCALE_OF if len(s) > 1 and not s.startswith("0")}
_LONE_LETTERS = {"k": "thousand", "K": "thousand", "M": "million"}

# kind: (label, factor, other spellings); the label itself always counts.
_MEASURES: dict[str, tuple[tuple[str, float, tuple[str, ...]], ...]] = {
    "share": (("%", 1, ("percent", "per cent", "pct")), ("‰", 0.1, ("permille",))),
    "power": (
        ("W", 1, ("watt", "watts")),
        ("kW", 1e3, ("kilowatt", "kilowatts")),
        ("MW", 1e6, ("megawatt", "megawatts")),
        ("GW", 1e9, ("gigawatt", "gigawatts")),
    ),
    "energy": (("Wh", 1, ()), ("kWh", 1e3, ()), ("MWh", 1e6, ()), ("GWh", 1e9, ()), ("TWh", 1e12, ())),
    "mass": (
        ("mg", 1e-3, ()),
        ("g", 1, ("gram", "grams")),
        ("kg", 1e3, ("kilogram", "kilograms", "kilos")),
        ("t", 1e6, ("tonne", "tonnes", "tons")),
    ),
    "length": (
        ("mm", 1e-3, ("millimetre", "millimetres", "millimeters")),
        ("cm", 1e-2, ("centimetre", "centimetres", "centimeters")),
        ("m", 1, ("metre", "metres", "meters")),
        ("km", 1e3, ("kilometre", "kilometres", "kilometers")),
        ("mi", 1609.344, ("mile", "miles")),
        ("ft", 0.3048, ("feet",)),
    ),
    "area": (("m²", 1, ("m2", "sqm")), ("ha", 1e4, ("hectare", "hectares")), ("km²", 1e6, ("km2",))),
    "volume": (
        ("ml", 1e-3, ("millilitre", "millilitres")),
        ("l", 1, ("litre", "litres", "liter", "liters")),
        ("m³", 1e3, ("m3",)),
    ),
    # Weeks convert to days; months and years do not, as they have no fixed number of days.
    "time": (
        ("s", 1, ("sec", "second", "seconds")),
        ("min", 60, ("mins", "minute", "minutes")),
        ("h", 3600, ("hr", "hrs", "hour", "hours")),
        ("days", 86400, ("day",)),
        ("weeks", 604800, ("week",)),
    ),
    "months": (("months", 1, ("month",)), ("years", 12, ("year", "yrs"))),
    "pressure": (("mbar", 1e-3, ()), ("bar", 1, ())),
    "temperature": (("°C", 1, ("degc",)),),
    "loudness": (("dB", 1, ("db(a)",)),),
    "data": (("kB", 1e3, ()), ("MB", 1e6, ()), ("GB", 1e9, ()), ("TB", 1e12, ())),
}
_EXACT: dict[str, Unit] = {}
_FOLDED: dict[str, Unit] = {}
for _kind, _rows in _MEASURES.items():
    for _label, _factor, _spellings in _rows:
        _unit = Unit(_kind, _factor, _label)
        for _spelling in (_label, *_spellings):
            _EXACT[_spelling] = _unit
            if len(_spelling) > 1:
                _FOLDED.setdefault(_spelling.casefold(), _unit)

_ATTACHED_SCALE = re.compile(r"^(k|t|m|mn|bn)(eur|usd|gbp|chf|sek|nok|dkk)$", re.IGNORECASE)


def parse_unit(text: str) -> Unit | None:
    """Return the unit that a text names and nothing else: ``"EUR million"``, ``"€m"``, ``"(kW)"``."""
    body = re.sub(f"([{re.escape(CURRENCY_SIGNS)}])", r" \1 ", text).strip(" .,:;_\t")
    body = body[1:-1].strip() if body[:1] + body[-1:] in ("()", "[]") else body
    if body in _EXACT:
        return _EXACT[body]
    if body in _LONE_LETTERS:
        return _scaled("", _LONE_LETTERS[body])
    words = body.casefold().replace("_", " ").split()
    if not words or len(words) > 3:
        return None
    if len(words) == 1:
        return _one_word(words[0])
    if " ".join(words) in _FOLDED:
        return _FOLDED[" ".join(words)]
    return _money(words)


def _one_word(word: str) -> Unit | None:
    if attached := _ATTACHED_SCALE.match(word):
        scale = "thousand" if attached[1] == "t" else _SCALE_OF[attached[1]][0]
        return _scaled(attached[2].upper(), scale)
    if word in _CURRENCY_OF:
        return Unit(_CURRENCY_OF[word], 1, _CURRENCY_OF[word])
    if word in _LONE_SCALES:
        return _scaled("", _SCALE_OF[word][0])
    return _FOLDED.get(word)


def _money(words: list[str]) -> Unit | None:
    currencies = {_CURRENCY_OF[w] for w in words if w in _CURRENCY_OF}
    scales = [_SCALE_OF[w][0] for w in words if w in _SCALE_OF]
    others = [w for w in words if w not in _CURRENCY_OF and w not in _SCALE_OF and w != "of"]
    if others or len(currencies) != 1 or len(scales) > 1:
        return None
    currency = currencies.pop()
    return _scaled(currency, scales[0]) if scales else Unit(currency, 1, currency)


def _scaled(kind: str, scale: str) -> Unit:
    return Unit(kind, _SCALES[scale][0], f"{kind} {scale}".strip())


_IN_BRACKETS = re.compile(r"^(?P<label>.*?)\s*[(\[](?:in\s+)?(?P<unit>[^()\[\]]+)[)\]]\s*$")
_AFTER_IN = re.compile(r"^(?P<label>.+?)(?:,|\s+in)\s+(?:in\s+)?(?P<unit>[^,]+)$", re.IGNORECASE)


def split_header(header: str) -> tuple[str, Unit | None]:
    """Split a header into its label and the unit it names: ``"Energy used (MWh)"``, ``"price_eur"``."""
    text = " ".join(header.split())
    # A whole header such as "Year" or "W" (for wins) is a name; money and shares are named by their unit alone.
    if (unit := parse_unit(text)) and (unit.kind == "share" or unit.kind in _CURRENCIES):
        return text, unit
    for pattern in (_IN_BRACKETS, _AFTER_IN):
        match = pattern.match(text)
        if match and (unit := parse_unit(match["unit"])):
            return match["label"] or unit.label, unit
    words = text.replace("_", " ").split()
    for count in (2, 1):
        if len(words) <= count:
            continue
        tail = " ".join(words[-count:])
        if words[-count - 1] in ("per", "of"):
            continue
        if (unit := parse_unit(tail)) and (len(tail) > 1 or tail == "%" or tail in CURRENCY_SIGNS):
            return " ".join(words[:-count]), unit
    return text, None


_ASKED = re.compile(r"\b(?:in|how many)\s+((?:[^\s,.?!]+\s+){0,2}[^\s,.?!]+)", re.IGNORECASE)


def asked_unit(question: str) -> Unit | None:
    """Return the unit in which the question wants its answer, if it says: ``"…, in thousand euros, …"``."""
    for match in _ASKED.finditer(question):
        words = match[1].split()
        for count in range(len(words), 0, -1):
            unit = parse_unit(" ".join(words[:count]))
            if unit and len(unit.label) > 1:
                return unit
    return None
