"""What a job is: its recipe, the flags that its release knows, and its numbers."""
