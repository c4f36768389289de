"""The steps that lead from one schema to the next (alembic); a step that was released never changes."""
