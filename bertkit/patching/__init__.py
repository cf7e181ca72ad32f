"""Versioned patches: what they are, which state a tree is in, and how to change it safely."""
