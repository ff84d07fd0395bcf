"""Recorded usage through the same pipeline as live, bucket by bucket; acts on nothing.

account.py    the two ways: a folder, and the store of the account, which leaves a record to arm by
recording.py  what can be replayed: usage and keys, as they would have become known
folder.py     a recording from files            stored.py   a recording from the store's own history
reading.py    some hours of the store, cut into windows           knowledge.py  which hours it knows
detector.py   the detector of that time, for the store
training.py   the history that only teaches -> the detector, for a folder
run.py        the walk: one window after the other, as an armed service would live it
books.py      the ledger of a replay, in memory
spending.py   hourly spend, and what was expected: what charts are drawn from
decisions.py  what would have been done, and the file it is written to
summary.py    what came out, for people and for programs
report.py     the HTML report of it
"""

from monitor.backtest.account import Found, of_folder, of_store, record
from monitor.backtest.decisions import ALERT, CAP, REVOKE, Decision, decided, rarity, write
from monitor.backtest.folder import FolderRecording, load
from monitor.backtest.recording import Recording
from monitor.backtest.report import report_of
from monitor.backtest.report import write as write_report
from monitor.backtest.run import Progress, Replay, replay
from monitor.backtest.stored import StoreRecording, from_store
from monitor.backtest.summary import Case, Summary, summarize

__all__ = [
    "ALERT",
    "CAP",
    "REVOKE",
    "Case",
    "Decision",
    "FolderRecording",
    "Found",
    "Progress",
    "Recording",
    "Replay",
    "StoreRecording",
    "Summary",
    "decided",
    "from_store",
    "load",
    "of_folder",
    "of_store",
    "rarity",
    "record",
    "replay",
    "report_of",
    "summarize",
    "write",
    "write_report",
]
