"""The tables of the first release. A new database has them at once, from `schema`.

Earlier revisions were those of development versions, which nobody was given.
"""

revision = "0015"
down_revision = None
branch_labels = None
depends_on = None
