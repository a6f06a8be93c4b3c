"""Amounts of memory as people write them: ``"1GB"``, ``"512MiB"``, ``4e9``."""

from __future__ import annotations

import re

_PREFIXES = {"": 1}
for _power, _letter in enumerate("kmgtp", start=1):
    _PREFIXES[_letter] = 1000**_power
    _PREFIXES[_letter + "i"] = 1024**_power


def parse_bytes(amount: int | float | str, what: str = "memory") -> int:
    """The number of bytes that ``amount`` stands for.

    Args:
        amount: A number, or a text of a number, a prefix (k, M, G, T, P are powers of 1000; Ki, Mi,
            Gi, Ti, Pi of 1024) and a B, of either case; prefix and B may be left out.
        what: The name of the argument, for the error.

    Raises:
        ValueError: The amount is not a whole number of bytes above 0.

    >>> parse_bytes("1.5GB"), parse_bytes("4MiB"), parse_bytes(4e9)
    (1500000000, 4194304, 4000000000)
    """
    allowed = "a whole number of bytes above 0, such as 400kB, 4MiB or 1.5GB, was expected"
    if isinstance(amount, str):
        match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([kmgtp]i?|)b?\s*", amount.lower())
        try:
            value = float(match[1]) * _PREFIXES[match[2]] if match else None
        except ValueError:
            value = None
    elif isinstance(amount, (int, float)) and not isinstance(amount, bool):
        value = float(amount)
    else:
        value = None
    if value is None or not 1 <= value <= 2**53 or value != int(value):
        raise ValueError(f"{what}: found {amount!r}; {allowed}")
    return int(value)


def bytes_text(amount: float) -> str:
    """``1500000`` as ``"1.5 MB"``.

    >>> bytes_text(268_435_456), bytes_text(999)
    ('268 MB', '999 bytes')
    """
    for prefix in ("", "k", "M", "G", "T"):
        if amount < 999.5 or prefix == "T":
            break
        amount /= 1000
    return f"{amount:.3g} {prefix}B" if prefix else f"{amount:.0f} bytes"
