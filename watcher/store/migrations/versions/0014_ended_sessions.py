"""Sessions of the page that were ended by a logout: a restart must not revive them."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ended_sessions",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("until", sa.Float, nullable=False),
    )
