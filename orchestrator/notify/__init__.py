"""Being told: what happened, what it means and what to do about it, once, whatever channel fails and whatever process dies."""
