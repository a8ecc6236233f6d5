"""How Alembic runs here: on the connection it is given, each migration in its own transaction."""

from alembic import context

from watcher.store.migrate import check_references

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,
    transaction_per_migration=True,
    on_version_apply=check_references,
)
with context.begin_transaction():
    context.run_migrations()
