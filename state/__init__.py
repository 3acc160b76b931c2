"""The tables, and the only functions that touch them: the session comes first, the time is an argument, nothing commits here."""
