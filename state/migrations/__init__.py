"""The way of the schema from version to version (alembic); it ships with the package and runs when a store is opened."""
