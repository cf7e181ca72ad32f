"""Which upstream releases there are, and a checkout of one."""
