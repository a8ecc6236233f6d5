"""Finding orders among very many: by panel, by service, by link, by what is rare."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_RARE = sa.text("status NOT IN ('unknown', 'pending', 'processing', 'in_progress', 'completed')")


def upgrade() -> None:
    op.create_index("orders_by_panel", "orders", ["panel"])
    op.create_index("orders_by_service", "orders", ["service"])
    op.create_index("orders_by_link", "orders", ["link"])
    op.create_index("order_states_rare", "order_states", ["status"], sqlite_where=_RARE)
    op.create_index(
        "order_states_problem",
        "order_states",
        ["key"],
        sqlite_where=sa.text("problem IS NOT NULL"),
    )
