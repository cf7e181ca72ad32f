"""Stands in for Habana's package on a machine without a Gaudi; see ``README.md`` here."""
