"""From sentences to training instances, and their records."""
