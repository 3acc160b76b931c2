"""Follows the pools: whatever is deleted or changes in one is noticed exactly once, however long nobody was looking."""
