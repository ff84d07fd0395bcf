"""The demo world: a strict, stateful fake of OpenRouter's management API and of Slack's Web API, on loopback only.

    catalogue.py   models, prices, providers, countries, apps
    fleet.py       the keys and their habits            founding.py   how a fleet comes to be, from a seed
    traffic.py     seeded ordinary usage                attacks.py    thefts and benign look-alikes
    world.py       state and time: what is accepted, when it shows       counters.py   spend counters
    server.py      the API                              wire.py, query.py, analytics.py, activity.py   its shapes
    slack.py       Slack's Web API                      conversations.py, slack_values.py, blockkit.py   what it keeps, its limits
    faults.py      what can go wrong on the way         loopback.py   serving on this machine only
    record.py      what a client sent and got
    recorded.py    its usage as frames, without the API  shipped.py    the detector trained on it
    story.py       what `monitor demo` tells
    clock.py       clocks: by hand, and faster than life

Used by `monitor demo`, by the end-to-end tests and by whoever wants to try a config.
"""
