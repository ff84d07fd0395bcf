"""What is done about a stolen key: the settings of the response, and the ladder of policies."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from monitor.config_kinds import Dollars, Duration, Fraction, Hours, Pattern, Person, Section, Zone


class Response(Section):
    """What is done about a stolen key."""

    mode: Literal["observe", "dry-run", "enforce"] = Field(
        "observe", description="observe (alert only), dry-run (say what would be done) or enforce (do it)"
    )
    min_usd_per_hour: Dollars = Field(
        1.0, description="dollars an hour of unusual spend below which no key is disabled"
    )
    max_per_run: int = Field(3, ge=0, description="automatic disables in one watch cycle")
    max_per_hour: int = Field(3, ge=0, description="automatic disables in any hour; over it, people are called")
    max_per_day: int = Field(10, ge=0, description="automatic disables in any 24 hours")
    max_share_of_keys: Fraction = Field(
        0.05, description="share of live keys automatically disabled in 24 hours (always at least one)"
    )
    max_share_of_spend: Fraction = Field(
        0.5,
        description="share of the fleet's normal spend that keys disabled in 24 hours may have (always at least one)",
    )
    correlated_keys: int = Field(
        5, ge=2, description="this many keys turning unusual together are one platform event: nothing automatic"
    )
    protected_keys: tuple[Pattern, ...] = Field(
        (), description="regular expressions of names (or hashes) of keys never disabled automatically"
    )
    quiet_hours: tuple[Hours, ...] = Field(
        (), description="when nothing automatic happens and people are called, in response.timezone"
    )
    timezone: Zone = Field("UTC", description="time zone of response.quiet_hours")
    cooldown: Duration = Field(
        timedelta(hours=24), description="after a restore, a key is not automatically disabled for this long"
    )
    max_reenables: int = Field(
        2, ge=1, description="a key that people switched on again this often in 30 days is left to them"
    )
    intent_ttl: Duration = Field(
        timedelta(minutes=10), description="an intent older than this is judged anew, not carried out"
    )
    cap_hours: float = Field(
        8.0, gt=0, description="a cap leaves a key this many hours of its normal spend beyond what it has used"
    )
    cap_min_usd: Dollars = Field(1.0, description="a cap leaves at least this many dollars beyond what was used")
    escalate_after: Duration = Field(
        timedelta(minutes=10), description="a disabled key whose counter still grows this long after gets limit 0"
    )
    approve: Literal["off", "cli", "slack"] = Field(
        "off", description="off (act at once) or where a person must approve each automatic action: cli, slack"
    )
    approvers: tuple[Person, ...] = Field(
        (), description='who may approve or deny: "cli:NAME" (a user of this machine), "slack:MEMBER-ID"'
    )
    approve_within: Duration = Field(
        timedelta(hours=4), description="a proposal nobody approves within this time expires; nothing is done"
    )
    kill_switch: Path | None = Field(
        None, description="while this file exists nothing automatic happens (default: state_dir/STOP)"
    )
    people_within: Duration = Field(
        timedelta(hours=8), description="until when a person is assumed to look; bounds dollars at risk"
    )
    replay_valid_for: Duration = Field(
        timedelta(days=30), description="enforce starts only with a replay (`backtest --store`) no older than this"
    )
    armed_without_replay: bool = Field(
        False, description="true: enforce starts without such a replay; logged, and told in every digest"
    )

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of `quiet_hours`."""
        return ZoneInfo(self.timezone)

    @model_validator(mode="after")
    def _somebody_approves(self) -> Self:
        if self.approve != "off" and not any(each.startswith(f"{self.approve}:") for each in self.approvers):
            raise ValueError(
                f'approve is "{self.approve}", but approvers names nobody who could;'
                f' add for example "{self.approve}:{"ada" if self.approve == "cli" else "U012AB3CD"}"'
            )
        return self


class RungRule(Section):
    """When a rung of the ladder is reached. All conditions must hold."""

    enabled: bool = Field(True, description="false: this rung is never reached")
    usd_per_hour: Dollars = Field(0.0, description="unusual dollars an hour asked for")
    usd_at_risk: Dollars = Field(0.0, description="dollars at risk asked for")
    sustained_for: Duration = Field(
        timedelta(0), description="how long the rung's other conditions must have held without a break"
    )


class NotifyRung(RungRule):
    """People are told. A key that is acted upon is always told of."""


class CapRung(RungRule):
    """The key's limit is lowered."""

    enabled: bool = Field(False, description="true: keys are capped where the evidence supports a cap")
    hold: Duration = Field(timedelta(0), description="time to object (`deny`) between the message and the cap")


class DisableRung(RungRule):
    """The key is disabled."""

    hold: Duration = Field(timedelta(0), description="time to object (`deny`) between the message and the disable")


class Policy(Section):
    """How far the response to some keys may go; the first policy that matches wins. It never goes further than the evidence."""

    name: str = Field(description="what `explain` and alerts call it")
    key_name: Pattern = Field(".*", description="regular expression searched in the key's name")
    workspace: str | None = Field(None, description="workspace name or id")
    owner: str | None = Field(None, description="owner, as the routes name it")
    notify: NotifyRung = Field(default_factory=NotifyRung, description="when people are told")
    cap: CapRung = Field(default_factory=CapRung, description="when the limit is lowered")
    disable: DisableRung = Field(default_factory=DisableRung, description="when the key is disabled")
