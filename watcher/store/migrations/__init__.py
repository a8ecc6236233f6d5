"""The migrations, in order; `watcher.store.migrate` runs them at start."""
