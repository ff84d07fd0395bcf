"""Reads an account: which keys there are, what they have spent, and what of that is known.

base.py         Source and UsageBatch: what the rest of the program may ask of a key issuer
inventory.py    every key of every workspace, with nothing missed while keys come and go
counters.py     spend between two samples of the keys' own counters: the fast lane
"""
