"""What people read of the account: from frames to values, and from values to words.

digest.py     usage by day, inventory, ledger -> the digest      figures.py  its frozen values     owners.py  one owner's part
weeks.py      which hours it speaks about      history.py  hours -> days      gaps.py  what is not known
account.py    the total by the account's counters
forecast.py   the coming days, or why not      limits.py  when limits are reached      movers.py  what made the difference
hygiene.py    debts of keys      watching.py  how the monitor did      words.py, care.py  the sentences that all forms share
render.py     -> messages      markdown.py  -> Markdown      document.py  -> JSON
page.py       -> HTML, with charts.py and templates/
replay/       the report of a replay
"""
