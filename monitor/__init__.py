"""openrouter-monitor: a stolen API key is stopped in minutes, a healthy key never.

Data flows one way: collect -> store -> features -> detect -> decide -> respond and notify -> report.

    cli/            one function a command: parse, build, call, print
    demo/           the fake OpenRouter and Slack on loopback, and their seeded traffic
    daemon.py       what `run` starts: every job with its beat
    service.py      APScheduler jobs, signals, gap alarm and watchdog; no business rule
    readiness.py    what `check` looks at; changes nothing
    systemd.py      sd_notify: readiness, status and watchdog to the service manager
    wiring.py       config -> concrete parts; the only file that names concrete classes, clock and seed
    jobs/           watch, backfill, train, digest, deliver, cards, buttons: the pipeline, top to bottom
    backtest/       recorded usage through the same pipeline; acts on nothing
    teaching.py     a walk through history in, a trained detector out
    pipeline.py     usage in, judgement out: features, detect and decide for one moment
    collect/        inventory, counters and usage of keys, with what is known and unknown
    store/          the embedded store: usage, keys, incidents, journal, outbox, state
    features/       per-key state and the features computed from it
    detect/         isolation forest, calibration, hard rules, the artifact
    decide/         findings -> incidents -> verdicts, behind fuses
    respond/        disable and restore a key, journalled and read back
    notify/         messages, their wording and their delivery
    report/         the digest, and the report of a replay
    openrouter/     the HTTP client and the typed wire format of the management API
    configfile.py   reads settings: TOML file, environment, secrets
    logs.py         the log: text or JSON, secrets redacted
    config.py       frozen settings; every default and every check
    config_response.py  settings of the response, and the ladder of policies
    config_kinds.py     kinds of values in the settings
    frames.py       column schemas of all frames, and check()
    wording.py      money, times and text from outside, made readable for people
    domain/         frozen values every stage speaks in
    errors.py       the exception tree
"""

__version__ = "0.1.0"
