"""The tables of what people have paused, and of what they and keys did."""

from sqlalchemy import Column, Float, Index, Table, Text

from watcher.store.dialect import BY_KEY, NEW_IDS, Whole
from watcher.store.schema import metadata

# One row while it lasts. `name` is not a reference: a panel that is no longer configured stays
# paused for the case that it returns.
pauses = Table(
    "pauses",
    metadata,
    Column("what", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("since", Float, nullable=False),
    Column("until", Float),
    Column("reason", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("via", Text, nullable=False),
    **BY_KEY,
)

# Rows are only added, and removed once they are old: nothing changes one.
audit = Table(
    "audit",
    metadata,
    Column("id", Whole, primary_key=True),
    Column("at", Float, nullable=False),
    Column("who", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("did", Text, nullable=False),
    Column("panel", Text),
    Column("subject", Text),
    Column("detail", Text),
    Index("audit_at", "at"),
    **NEW_IDS,
)
