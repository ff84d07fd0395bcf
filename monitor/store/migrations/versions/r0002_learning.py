"""What people said of keys, and what keys spent by day.

Revision: 0002. Written out in full: later changes of store/schema.py must not change what an old revision makes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("feedback_no", sa.Integer, primary_key=True),
        sa.Column("feedback_id", sa.Text, nullable=False, unique=True),
        sa.Column("key_hash", sa.Text, nullable=False),
        sa.Column("said_at_us", sa.Integer, nullable=False),
        sa.Column("until_us", sa.Integer, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("feedback_by_key", "feedback", ["key_hash", "said_at_us"])
    op.create_table(
        "daily_spend",
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("key_no", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("cost_nusd", sa.Integer, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "daily_known",
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sqlite_strict=True,
    )
