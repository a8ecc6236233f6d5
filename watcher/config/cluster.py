"""[cluster]: this watcher as one of several that share a PostgreSQL."""

import msgspec

from watcher.config.values import Duration, Secret


class ClusterSection(msgspec.Struct, frozen=True, kw_only=True):
    """[cluster]"""

    url: str
    name: str | None = None
    lease: Duration = Duration(10)
    token_file: str | None = None


class ClusterConfig(msgspec.Struct, frozen=True, kw_only=True):
    """This node of a cluster; `lease` in seconds, `token` is known to all of its nodes."""

    name: str
    url: str
    lease: float
    token: Secret
