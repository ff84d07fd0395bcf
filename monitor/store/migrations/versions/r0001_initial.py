"""The first schema: usage, coverage, counters, inventory, ledger, outbox, documents.

Revision: 0001. Written out in full: later changes of store/schema.py must not change what an old revision makes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "action_events",
        sa.Column("event_no", sa.Integer, primary_key=True),
        sa.Column("action_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("key_hash", sa.Text, nullable=False),
        sa.Column("verb", sa.Text, nullable=False),
        sa.Column("intended_at_us", sa.Integer, nullable=False),
        sa.Column("at_us", sa.Integer, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.UniqueConstraint("action_id", "state"),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "catalog_keys",
        sa.Column("key_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key_hash", sa.Text, unique=True, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "catalog_values",
        sa.Column("value_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("dimension", sa.Integer, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.UniqueConstraint("dimension", "value"),
        sqlite_strict=True,
    )
    op.create_table(
        "counters",
        sa.Column("sampled_at", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("usage_nusd", sa.Integer, nullable=False),
        sa.Column("usage_daily_nusd", sa.Integer, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "coverage",
        sa.Column("bucket_s", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("dimension", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("until", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("since", sa.Integer, nullable=False),
        sa.Column("quality", sa.Integer, nullable=False),
        sa.Column("as_of", sa.Integer, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("coverage_by_end", "coverage", ["bucket_s", "dimension", "until"])
    op.create_table(
        "documents",
        sa.Column("name", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("document", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "findings",
        sa.Column("finding_no", sa.Integer, primary_key=True),
        sa.Column("digest", sa.Text, unique=True, nullable=False),
        sa.Column("key_hash", sa.Text, nullable=False),
        sa.Column("at_us", sa.Integer, nullable=False),
        sa.Column("detector", sa.Text, nullable=False),
        sa.Column("severity", sa.Integer, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("findings_by_key", "findings", ["key_hash", "at_us"])
    op.create_index("findings_by_time", "findings", ["at_us"])
    op.create_table(
        "incidents",
        sa.Column("incident_id", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("key_hash", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("severity", sa.Integer, nullable=False),
        sa.Column("opened_at_us", sa.Integer, nullable=False),
        sa.Column("last_seen_at_us", sa.Integer, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("incidents_by_state", "incidents", ["state", "last_seen_at_us"])
    op.create_index("incidents_by_time", "incidents", ["last_seen_at_us"])
    op.create_table(
        "inventories",
        sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("n_recorded", sa.Integer, nullable=False),
        sa.Column("taken_at_us", sa.Integer, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "outbox",
        sa.Column("entry_no", sa.Integer, primary_key=True),
        sa.Column("message_id", sa.Text, unique=True, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("severity", sa.Integer, nullable=False),
        sa.Column("thread", sa.Text),
        sa.Column("queued_at_us", sa.Integer, nullable=False),
        sa.Column("due_at_us", sa.Integer, nullable=False),
        sa.Column("n_attempts", sa.Integer, nullable=False),
        sa.Column("delivered_at_us", sa.Integer),
        sa.Column("receipt_channel", sa.Text),
        sa.Column("receipt_reference", sa.Text),
        sa.Column("last_error", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("outbox_by_state", "outbox", ["state", "due_at_us"])
    op.create_index("outbox_by_thread", "outbox", ["thread"])
    op.create_table(
        "usage_fine",
        sa.Column("bucket_start", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("value_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("n_requests", sa.Integer, nullable=False),
        sa.Column("tokens_prompt", sa.Integer, nullable=False),
        sa.Column("tokens_completion", sa.Integer, nullable=False),
        sa.Column("tokens_reasoning", sa.Integer, nullable=False),
        sa.Column("cost_nusd", sa.Integer, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "usage_hourly",
        sa.Column("bucket_start", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("value_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("n_requests", sa.Integer, nullable=False),
        sa.Column("tokens_prompt", sa.Integer, nullable=False),
        sa.Column("tokens_completion", sa.Integer, nullable=False),
        sa.Column("tokens_reasoning", sa.Integer, nullable=False),
        sa.Column("cost_nusd", sa.Integer, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "usage_writes",
        sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("n_written", sa.Integer, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "verdicts",
        sa.Column("verdict_no", sa.Integer, primary_key=True),
        sa.Column("digest", sa.Text, unique=True, nullable=False),
        sa.Column("key_hash", sa.Text, nullable=False),
        sa.Column("incident_id", sa.Text, nullable=False),
        sa.Column("at_us", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("is_act", sa.Integer, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("verdicts_by_key", "verdicts", ["key_hash", "at_us"])
    op.create_index("verdicts_by_time", "verdicts", ["at_us"])
    op.create_table(
        "workspaces",
        sa.Column("workspace_id", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "key_history",
        sa.Column("change_id", sa.Integer, primary_key=True),
        sa.Column("key_no", sa.Integer, sa.ForeignKey("catalog_keys.key_no"), nullable=False),
        sa.Column("seen_at_us", sa.Integer, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sqlite_strict=True,
    )
    op.create_index("key_history_by_key", "key_history", ["key_no", "change_id"])
    op.create_table(
        "keys",
        sa.Column("key_no", sa.Integer, sa.ForeignKey("catalog_keys.key_no"), primary_key=True, autoincrement=False),
        sa.Column("key_name", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("workspace_id", sa.Text),
        sa.Column("creator_user_id", sa.Text),
        sa.Column("is_disabled", sa.Integer, nullable=False),
        sa.Column("limit_usd", sa.REAL),
        sa.Column("limit_reset", sa.Text),
        sa.Column("include_byok_in_limit", sa.Integer, nullable=False),
        sa.Column("limit_remaining_usd", sa.REAL),
        sa.Column("usage_nusd", sa.Integer),
        sa.Column("usage_daily_nusd", sa.Integer),
        sa.Column("usage_weekly_nusd", sa.Integer),
        sa.Column("usage_monthly_nusd", sa.Integer),
        sa.Column("byok_usage_nusd", sa.Integer),
        sa.Column("created_at_us", sa.Integer, nullable=False),
        sa.Column("updated_at_us", sa.Integer),
        sa.Column("expires_at_us", sa.Integer),
        sa.Column("vanished_at_us", sa.Integer),
        sqlite_strict=True,
    )
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER action_events_no_{verb.lower()} BEFORE {verb} ON action_events "
            "BEGIN SELECT RAISE(ABORT, 'the action journal is append-only'); END"
        )
