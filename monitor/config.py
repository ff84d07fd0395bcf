"""The settings: every default and every check in one place, frozen. `configfile.load` reads them.

What is done about a stolen key is in `config_response`, the kinds of values in `config_kinds`."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator

from monitor.config_kinds import Dollars, Duration, Fraction, Pattern, Section, SeverityName, Zone
from monitor.config_response import CapRung, DisableRung, NotifyRung, Policy, Response, RungRule
from monitor.domain import Severity

SlackUser = Annotated[str, Field(pattern=r"^[UW][A-Z0-9]{5,}$")]
SlackGroup = Annotated[str, Field(pattern=r"^S[A-Z0-9]{5,}$")]

__all__ = [
    "CapRung",
    "DisableRung",
    "Duration",
    "HardRule",
    "NotifyRung",
    "Policy",
    "Response",
    "Route",
    "RungRule",
    "Section",
    "Settings",
]


HTTPS = r"https://|http://(127\.0\.0\.1|localhost|\[::1\])(:|/|$)"
"""How the addresses that secrets are sent to begin: in clear text only on this machine."""


class OpenRouter(Section):
    """The account that is watched."""

    base_url: str = Field("https://openrouter.ai/api/v1", description="address of the management API")
    management_key: SecretStr | None = Field(
        None, description="the management key; never in this file: OPENROUTER_MANAGEMENT_KEY or a credentials file"
    )
    management_key_file: Path | None = Field(None, description="file (mode 0600) that holds the management key")
    request_timeout: Duration = Field(timedelta(seconds=30), description="total time one request may take")
    max_response_mb: int = Field(64, ge=1, description="answers larger than this are refused")
    analytics_per_minute: int = Field(48, ge=1, le=64, description="our share of the 64 analytics requests a minute")
    concurrency: int = Field(8, ge=1, le=32, description="requests under way at once")

    @field_validator("base_url")
    @classmethod
    def _https(cls, value: str) -> str:
        if not re.match(HTTPS, value):
            raise ValueError("must be https:// (http:// only to this machine)")
        return value.rstrip("/")


class Slack(Section):
    """Where alerts go."""

    base_url: str = Field("https://slack.com/api/", description="address of Slack's Web API")
    bot_token: SecretStr | None = Field(
        None, description="the bot token; never in this file: SLACK_BOT_TOKEN or a credentials file"
    )
    bot_token_file: Path | None = Field(None, description="file (mode 0600) that holds the bot token")
    default_channel: str = Field(
        "", description="channel for keys no route matches, and for the monitor's own troubles"
    )
    enabled: bool = Field(
        True, description="false: messages are written to standard output instead (the journal, under systemd)"
    )

    app_token: SecretStr | None = Field(
        None,
        description="the app-level token that lets buttons, /openrouter-monitor and the home work;"
        " never in this file: SLACK_APP_TOKEN or a credentials file",
    )
    app_token_file: Path | None = Field(None, description="file (mode 0600) that holds the app-level token")
    message_creators: bool = Field(
        True, description="true: messages about a key that no route matches go to who created it, if Slack knows them"
    )
    direct_copies: Literal["off", "notice", "warning", "critical"] = Field(
        "critical",
        description="what goes to one person also goes to default_channel if its incident is at least this severe:"
        " notice, warning, critical or off",
    )
    allowed_users: tuple[SlackUser, ...] = Field(
        (), description="ids of the Slack users whose buttons work and who may see all keys"
    )
    allowed_groups: tuple[SlackGroup, ...] = Field(
        (), description="ids of the Slack user groups whose buttons work and who may see all keys"
    )

    @field_validator("base_url")
    @classmethod
    def _https(cls, value: str) -> str:
        if not re.match(HTTPS, value):
            raise ValueError("must be https:// (http:// only to this machine)")
        return value.rstrip("/") + "/"

    @property
    def takes_answers(self) -> bool:
        """Whether messages carry buttons: somebody listens, and somebody may press them."""
        return self.app_token is not None and bool(self.allowed_users or self.allowed_groups)


class Further(Section):
    """Further channels beside Slack: e-mail, pagers, Teams, SMS and whatever else the library Apprise knows."""

    urls: SecretStr | None = Field(
        None, description="Apprise addresses, one a line; never in this file: APPRISE_URLS or a credentials file"
    )
    urls_file: Path | None = Field(None, description="file (mode 0600) that holds the addresses")
    min_severity: SeverityName = Field(
        Severity.CRITICAL, description="notice, warning or critical: messages below it go to Slack alone"
    )

    @property
    def addresses(self) -> dict[str, SecretStr]:
        """Address by name: `name=address`, or numbered where a line has no name."""
        found: dict[str, SecretStr] = {}
        for number, line in enumerate((self.urls.get_secret_value() if self.urls else "").split(), start=1):
            named = re.fullmatch(r"([a-z0-9-]{1,20})=([a-z0-9]+://.+)", line)
            found[named[1] if named else str(number)] = SecretStr(named[2] if named else line)
        return found


class Heartbeat(Section):
    """A sign of life to a receiver outside, which raises the alarm when it hears nothing: the monitor's own dead man's switch."""

    address: SecretStr | None = Field(
        None,
        description="asked for after each complete cycle; never in this file: HEARTBEAT_ADDRESS or a credentials file",
    )
    address_file: Path | None = Field(None, description="file (mode 0600) that holds the address")

    @field_validator("address")
    @classmethod
    def _safe(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(HTTPS, value.get_secret_value()):
            raise ValueError("must be https:// (http:// only to this machine)")
        return value


class Store(Section):
    """What is remembered, and for how long."""

    url: str = Field("", description="SQLAlchemy address; empty: sqlite file monitor.db in the state directory")
    state_dir: Path = Field(
        Path("state"), description="directory for store, checkpoints and lock (systemd: $STATE_DIRECTORY)"
    )
    keep_fine: Duration = Field(timedelta(days=14), description="how long ten-minute usage is kept")
    keep_hourly: Duration = Field(timedelta(days=400), description="how long hourly usage is kept")
    keep_incidents: Duration = Field(timedelta(days=730), description="how long resolved incidents are kept")
    backup_every: Duration = Field(timedelta(days=1), description="how often a backup is written to state_dir/backups")
    keep_backups: int = Field(7, ge=0, description="backups kept; 0 writes none")

    @field_validator("url")
    @classmethod
    def _is_sqlite(cls, value: str) -> str:
        if "://" in value and not value.startswith("sqlite:///"):
            raise ValueError("must be a path or sqlite:///…; this version stores in SQLite files only")
        return value


class Schedule(Section):
    """How often things happen."""

    keys_every: Duration = Field(timedelta(minutes=1), description="inventory and counters: the fast lane")
    usage_every: Duration = Field(timedelta(minutes=5), description="usage by model, provider, country and app")
    settle_every: Duration = Field(timedelta(hours=1), description="re-reading of hours whose data may still change")
    train_every: Duration = Field(timedelta(days=1), description="refit of the detector on the fleet's own history")
    digest_cron: str = Field(
        "0 9 * * mon", description="when the weekly digest is sent (cron fields, in digest.timezone)"
    )

    @field_validator("keys_every", "usage_every", "settle_every", "train_every")
    @classmethod
    def _positive(cls, value: timedelta) -> timedelta:
        if value < timedelta(seconds=1):
            raise ValueError("must be at least 1s")
        return value

    @field_validator("digest_cron")
    @classmethod
    def _five_fields(cls, value: str) -> str:
        if len(value.split()) != 5:
            raise ValueError("needs five fields: minute hour day-of-month month day-of-week")
        if value != cls.model_fields["digest_cron"].default:
            from apscheduler.triggers.cron import CronTrigger  # costs more than all the rest of this module

            CronTrigger.from_crontab(value, timezone="UTC")  # its ValueError says what is wrong
        return value


class Collect(Section):
    """What is read from the source."""

    history: Duration = Field(
        timedelta(days=31), description="how much history is read on the first start (at most 31d)"
    )
    overlap: Duration = Field(timedelta(minutes=30), description="how far each usage poll reads back (at most 3h)")
    settle_after: Duration = Field(timedelta(hours=6), description="age at which an hour is taken as final")
    max_data_age: Duration = Field(timedelta(minutes=30), description="older usage is stale: no automatic action on it")
    drilldown_keys: int = Field(20, ge=0, description="keys per poll whose counter burst is looked into at once")

    @field_validator("history")
    @classmethod
    def _a_month(cls, value: timedelta) -> timedelta:
        if not timedelta(days=1) <= value <= timedelta(days=31):
            raise ValueError("must be between 1d and 31d (the analytics API serves 31 days)")
        return value

    @field_validator("overlap")
    @classmethod
    def _three_hours(cls, value: timedelta) -> timedelta:
        if not timedelta(minutes=10) <= value <= timedelta(hours=3):
            raise ValueError("must be between 10m and 3h (minute data comes in windows of at most 3 hours)")
        return value


class HardRule(Section):
    """A rule that needs no history. All conditions given must hold."""

    name: str = Field(description="what the alert calls it")
    key_name: Pattern = Field(".*", description="regular expression searched in the key's name")
    max_usd_per_hour: Dollars | None = Field(None, description="spend of one key in the trailing hour above this")
    models: tuple[Pattern, ...] = Field((), description="regular expressions of models that must never be used")
    countries: tuple[str, ...] = Field((), description="countries (ISO 3166 alpha-2) that must never be seen")
    severity: SeverityName = Field(Severity.CRITICAL, description="notice, warning or critical")
    disable: bool = Field(False, description="true: crossing this rule is enough to disable the key in enforce mode")


class Detection(Section):
    """What counts as unusual."""

    max_false_alerts_per_week: float = Field(
        5.0, gt=0, description="the alert budget for the whole fleet; sets the threshold"
    )
    half_life: Duration = Field(timedelta(days=7), description="how fast habits fade")
    quarantine: Duration = Field(timedelta(hours=18), description="usage younger than this teaches nothing")
    grace_period: Duration = Field(
        timedelta(hours=24), description="a key with less usage history is judged by its peers"
    )
    max_drift_per_week: float = Field(
        0.15,
        gt=0,
        le=1,
        description="growth of a key's spend a week that teaches its anchor; steady growth beyond is told",
    )
    min_usd_per_hour: Dollars = Field(0.05, description="novel spend below this never alerts")
    limit_nearly_used: Fraction = Field(
        0.9, description="share of a key's limit at which its owner is told; 1 turns it off"
    )
    artifact: Path | None = Field(None, description="detector to use instead of the one trained here")
    shadow: bool = Field(False, description="true: the detector's findings are recorded but neither page nor act")
    rules: tuple[HardRule, ...] = Field((), description="hard rules beside the detector")


class Incidents(Section):
    """How findings become incidents."""

    resolve_after: Duration = Field(
        timedelta(hours=6), description="an incident without findings for this long is resolved"
    )
    reopen_within: Duration = Field(
        timedelta(hours=24),
        description="a cause that returns this soon reopens its incident; 0s always opens a new one",
    )
    escalate_to: str = Field("", description="channel called when nobody acknowledges; empty: nobody is called")
    escalate_after: Duration = Field(
        timedelta(minutes=15), description="how long a critical incident may stay unacknowledged before that"
    )
    escalate_warning_after: Duration = Field(
        timedelta(hours=4), description="the same for a warning; a notice is never escalated"
    )
    repeat_interval: Duration = Field(
        timedelta(hours=4), description="how often escalate_to is called again while nobody acknowledges"
    )

    @field_validator("escalate_after", "escalate_warning_after", "repeat_interval")
    @classmethod
    def _a_minute(cls, value: timedelta) -> timedelta:
        if value < timedelta(minutes=1):
            raise ValueError("must be at least 1m")
        return value


class Route(Section):
    """Where messages about some keys go; the first route that matches wins."""

    channel: str = Field(description="Slack channel id or name")
    key_name: Pattern = Field(".*", description="regular expression searched in the key's name")
    workspace: str | None = Field(None, description="workspace name or id")
    creator: str | None = Field(None, description="creator's user id at OpenRouter")
    owner: str = Field("", description="what the digest calls the team (default: the channel)")


class Digest(Section):
    """The weekly digest."""

    timezone: Zone = Field("UTC", description="time zone of schedule.digest_cron and of the digest's dates")
    channel: str = Field("", description="where it goes (default: slack.default_channel)")
    top: int = Field(10, ge=1, le=100, description="rows per table")
    owners: bool = Field(
        True, description="true: each owner gets a short digest too, in the channel of its first route"
    )

    @property
    def zone(self) -> ZoneInfo:
        """The time zone itself."""
        return ZoneInfo(self.timezone)


class Log(Section):
    """Logging to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error")
    format: Literal["text", "json"] = Field("text", description="text or json (one object a line)")


class Settings(Section):
    """All settings, checked."""

    openrouter: OpenRouter = Field(default_factory=OpenRouter)
    slack: Slack = Field(default_factory=Slack)
    further: Further = Field(default_factory=Further)
    heartbeat: Heartbeat = Field(default_factory=Heartbeat)
    store: Store = Field(default_factory=Store)
    schedule: Schedule = Field(default_factory=Schedule)
    collect: Collect = Field(default_factory=Collect)
    detection: Detection = Field(default_factory=Detection)
    response: Response = Field(default_factory=Response)
    incidents: Incidents = Field(default_factory=Incidents)
    policies: tuple[Policy, ...] = Field((), description="the response ladder of some keys, first match wins")
    routes: tuple[Route, ...] = Field((), description="where messages go, first match wins")
    digest: Digest = Field(default_factory=Digest)
    log: Log = Field(default_factory=Log)

    @property
    def takes_approvals(self) -> bool:
        """Whether proposals carry buttons: people approve in Slack, or may object there, and somebody listens."""
        return (self.response.approve == "slack" and self.slack.app_token is not None) or self.takes_objections

    @property
    def takes_objections(self) -> bool:
        """Whether what is held is a message of its own with Deny: some policy holds, somebody listens, and somebody may press it."""
        is_held = any(each.disable.hold or each.cap.hold for each in self.policies)
        is_heard = self.slack.enabled and self.slack.app_token is not None
        may = self.slack.takes_answers or any(each.startswith("slack:") for each in self.response.approvers)
        return is_held and is_heard and may and self.response.approve == "off"
