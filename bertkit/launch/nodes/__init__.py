"""The nodes of a run: which they are, how they are reached, what they say of themselves."""
