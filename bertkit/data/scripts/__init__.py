"""Upstream's own data scripts: found in a checkout, and run so that they end with bertkit."""
