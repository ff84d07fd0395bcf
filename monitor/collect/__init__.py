"""Reads an account: which keys there are, what they have spent, and what of that is known.

    base.py         Source and UsageBatch: what the rest of the program may ask of a key issuer
    account.py      an OpenRouter account as a Source
    inventory.py    every key of every workspace, and what became of those known before
    listing.py      all keys of one workspace, none missed while keys come and go
    counters.py     spend between two samples of the keys' own counters: the fast lane
    plan.py         questions whose answers belong to exactly one key each
    usage.py        asks them until each is answered completely, or known not to be
    attribution.py  answers by key name -> usage by key
    coverage.py     what a reading covers: known, partial or unknown
    quality.py      what is known of each key's last hours
    reading.py      one reading of a window, all of the above
    rereading.py    reading again never makes it worse
    sweep.py        how the regular reading fits the request budget
    backfill.py     the history, newest first
    activity.py     the fallback for keys analytics cannot serve
    check.py        whether the account can be watched

Only this folder and `openrouter/` know OpenRouter's API.
"""
