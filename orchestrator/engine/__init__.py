"""Takes runs through their steps, so that whatever crashes, every run ends: done, refused, undone, or stuck with a person told."""
