"""OpenRouter's management API: the one door to it, and its wire format as typed values.

    transport.py    one request: deadline, retries, clock skew; the calls below through it
    calls.py        the allowlist: all this program can ask for
    lanes.py        what calls of one kind share: budget, hold, circuit, health
    answer.py       one answer: bounded reading and its translation into the exception tree
    retry_after.py  how long the server asks us to wait, in every form it says so
    breaker.py      when to stop asking a source that does not answer
    wire.py         JSON of keys, workspaces and credits -> domain values
    keys_api.py     the reading calls about keys
    analytics.py    the usage queries
    activity.py     daily usage of one key: the fallback
    amounts.py      counts, costs and times of usage rows, and their bounds
    control.py      the only calls that change a key

Facts about the API come from its OpenAPI document and guides (https://openrouter.ai/docs); what is not documented
there is said so where it matters.
"""
