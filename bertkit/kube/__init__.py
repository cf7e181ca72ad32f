"""Kubernetes: manifests of bertkit's jobs, what is wrong with a manifest, and a job's life."""
