"""A count of claims, to tell an older database by; large parameters of actions, to be let go."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.bulk_insert(counters, [{"name": "claims", "value": 0}])
    op.add_column("actions", sa.Column("params_hash", sa.Text))
    op.create_index(
        "actions_large",
        "actions",
        ["settled_at"],
        sqlite_where=sa.text("length(params) > 2000"),
    )
