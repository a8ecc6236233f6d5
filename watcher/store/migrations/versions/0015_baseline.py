"""The tables of the first release. A new database gets them directly from `schema`.

Earlier revisions belong to unreleased development versions.
"""

revision = "0015"
down_revision = None
branch_labels = None
depends_on = None
