"""Checkpoint -> verified bundle: back ends, what they can do, and their files against the golden interpreter."""
