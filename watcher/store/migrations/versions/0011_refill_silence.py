"""Since when a panel tells nothing of a refill task, so that it is given up in time."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("refills", sa.Column("silent_since", sa.Float))
