"""Configures Alembic: it uses the given connection, with one transaction for each migration."""

from alembic import context

from watcher.store.migrate import end_migration

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,
    transaction_per_migration=True,
    on_version_apply=end_migration,
)
with context.begin_transaction():
    context.run_migrations()
