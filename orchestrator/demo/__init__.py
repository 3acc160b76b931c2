"""The demo: it starts what a user would start, as processes of their own, and looks at them from outside."""
