"""The tables of a cluster: its nodes, and who leads what. Empty without one."""

from sqlalchemy import Column, Float, Table, Text

from watcher.store.dialect import ROOM, Whole
from watcher.store.schema import metadata

# One row a node, renewed about once a second. Times are the database's clock, in Unix seconds.
# `keys` has a digest of the key of each panel that the node's configuration has.
nodes = Table(
    "nodes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("epoch", Whole, nullable=False),
    Column("url", Text, nullable=False),
    Column("until", Float, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("version", Text, nullable=False),
    Column("keys", Text, nullable=False),
    **ROOM,
)

# One row for each panel, and for each duty, that a node leads. It holds while the node with this
# epoch has a lease.
leaders = Table(
    "leaders",
    metadata,
    Column("name", Text, primary_key=True),
    Column("node", Text, nullable=False),
    Column("epoch", Whole, nullable=False),
    Column("since", Float, nullable=False),
)
