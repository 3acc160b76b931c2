"""The web console and the REST API: both do what the command line can do, by the same functions."""
