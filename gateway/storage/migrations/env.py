"""Runs the steps on the connection that ``gateway.storage.schema`` hands in."""

from alembic import context

from gateway.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the caller's transaction holds all steps: done together or not at all
)
context.run_migrations()
