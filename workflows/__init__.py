"""What is done to a pool, as tables of steps in words that an operator could read."""
