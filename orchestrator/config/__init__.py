"""The configuration: one TOML file, read once, checked whole before anything starts, frozen afterwards."""
