"""Recorded usage through the same pipeline as live, bucket by bucket; acts on nothing.

recording.py  what is replayed: usage and keys, from a folder
training.py   the history that only teaches -> the detector
run.py        the walk: one bucket after the other, as an armed service would live it
books.py      the ledger of a replay, in memory
decisions.py  what would have been done, and the file it is written to
"""

from monitor.backtest.decisions import ALERT, REVOKE, Decision, decided, rarity, write
from monitor.backtest.recording import Recording, load
from monitor.backtest.run import Progress, Replay, backtest, replay

__all__ = [
    "ALERT",
    "REVOKE",
    "Decision",
    "Progress",
    "Recording",
    "Replay",
    "backtest",
    "decided",
    "load",
    "rarity",
    "replay",
    "write",
]
