"""Disable and restore a key, journalled and read back.

base.py      what a responder is, and the narrow door to the keys
disable.py   disable; its undo is restore
restore.py   put the prior settings back, exactly
executor.py  intents carried out, retried, taken up again after a crash
requests.py  what people ask for: restore and revoke
"""
