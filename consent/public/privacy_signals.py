"""The Global Privacy Control of a browser: the header `Sec-GPC`."""

from collections.abc import Mapping


def privacy_signal(headers: Mapping[str, str]) -> bool | None:
    """True where the header says 1, also when a proxy or a second header line repeats it ("1, 1"); else None.

    The absence of the signal says nothing, and nor does any other value.
    """
    said = {part.strip() for part in headers.get("Sec-GPC", "").split(",")} - {""}
    return True if said == {"1"} else None
