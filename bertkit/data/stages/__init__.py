"""Work that can be killed at any moment and goes on: stages, their parts, manifests and shares."""
