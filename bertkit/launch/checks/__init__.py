"""What a job's data and disks are worth, looked at before any rank starts."""
