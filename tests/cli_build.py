"""The keys in the store that tests of the command line look at."""

from __future__ import annotations

from build import a_hash
from hostile import VECTORS

STOLEN = "1f0c9a2b7d3e" + a_hash(1)[12:]
TWINS = ("aaaaaa11" + a_hash(2)[8:], "aaaaaa22" + a_hash(3)[8:])
STORABLE = [name for name in VECTORS if name.encode("utf-8", "ignore").decode() == name]
"""Half characters (lone surrogates) are dropped where answers are read; no store can hold them."""

HOSTILE = {f"{number:04x}" + "b" * 60: name for number, name in enumerate(STORABLE, start=0xB000)}
