"""A run while it goes on: supervised, followed, explained and recorded."""
