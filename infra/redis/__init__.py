"""Redis: rings, counters, presence, signals. Nothing in it is precious."""
