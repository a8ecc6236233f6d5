"""The steps that build the tables, in order; run at start by `watcher.store.migrate`."""
