"""What is wrong with an address of MongoDB, in words that quote no password."""

from __future__ import annotations

import re


def refusal(url: str, error: Exception) -> str:
    """Continues a sentence about the URL. The driver's own words stay out: they may quote a password."""
    query = url.partition("?")[2]
    if "@" in query:  # it may be a piece of a password
        return "cannot be used: check its user, its hosts and its options"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"names the file {error.filename}, which cannot be read: {error.strerror}"
    places = {}
    for name in re.findall(r"(?:^|&)(\w+)", query):
        if found := re.search(rf"\b{name}\b", str(error), re.IGNORECASE):
            places[name] = found.start()
    if places:
        return f"cannot be used: the driver refuses its option {min(places, key=places.__getitem__)}"
    return "cannot be used: check its user, its hosts and its options"
