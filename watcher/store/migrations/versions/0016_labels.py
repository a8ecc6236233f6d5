"""The caller's own words on orders: reference, customer, tags and note. Epochs of changes."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_SORTED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_WHOLE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_INDEXES = (
    ("orders_by_reference", "reference", "reference IS NOT NULL"),
    ("orders_by_customer", "customer", "customer IS NOT NULL"),
    ("orders_personal", "submitted_at", "(customer IS NOT NULL OR note IS NOT NULL)"),
)


def upgrade() -> None:
    for name in ("reference", "customer", "note"):
        op.add_column("orders", sa.Column(name, _SORTED))
    op.add_column("orders", sa.Column("tags", sa.Text))
    op.add_column("actions", sa.Column("labels", sa.Text))
    for name, column, where in _INDEXES:
        is_so = sa.text(where)
        op.create_index(name, "orders", [column], sqlite_where=is_so, postgresql_where=is_so)
    op.create_table(
        "order_tags",
        sa.Column("tag", _SORTED, primary_key=True),
        sa.Column("key", _WHOLE, sa.ForeignKey("orders.key"), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("order_tags_key", "order_tags", ["key"])
    op.create_table(
        "epochs",
        sa.Column("id", _WHOLE, primary_key=True),
        sa.Column("first", _WHOLE, nullable=False),
        sa.Column("mark", _WHOLE, nullable=False),
    )
