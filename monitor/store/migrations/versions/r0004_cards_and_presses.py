"""Cards: what Slack shows of an incident and is edited in place. Presses: who pressed which button, and what became of it.

Revision: 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cards",
        sa.Column("incident_id", sa.Text, primary_key=True, nullable=False),
        sa.Column("shown", sa.Text, nullable=False),
        sa.Column("shown_at_us", sa.Integer, nullable=False),
        sa.Column("due_at_us", sa.Integer, nullable=False),
        sa.Column("n_refused", sa.Integer, nullable=False),
        sa.Column("file_id", sa.Text),
        sa.Column("alt_text", sa.Text, nullable=False),
        sa.Column("n_tries", sa.Integer, nullable=False),
        sa.Column("picture_due_at_us", sa.Integer, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "presses",
        sa.Column("press_no", sa.Integer, primary_key=True),
        sa.Column("press_id", sa.Text, nullable=False, unique=True),
        sa.Column("incident_id", sa.Text, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("choice", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at_us", sa.Integer, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index("presses_by_incident", "presses", ["incident_id", "step", "choice"])
