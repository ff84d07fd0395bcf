"""Compares detectors on recordings with labelled thefts, in one run: `make bench-detect` (bench/compare_detectors.py).

grid.py        a recording as dense tables: one row a key, one column a ten-minute bucket
scores.py      what a reference is: a score a key and bucket, and what it does above a threshold
references.py  the six references, and their registry
limits.py      of these: the fixed limits that OpenRouter offers
anomstack.py   of these: a PyOD detector a key, as Anomstack configures it
tuning.py      thresholds: from clean history, from labels; incidents as the scorer counts them
scorer.py      the labels and their scorer, which lie beside the recording
variants.py    our own detector: as shipped, and with parts left out
choose.py      would other labels have led to another choice? leave one kind of theft out, and half of the keys
tables.py      tables for people, Markdown for docs/detection.md
run.py         who is run on what, each in a process of its own, so that memory can be told
"""
