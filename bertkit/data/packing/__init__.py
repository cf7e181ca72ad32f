"""Several sequences in one record, so that training computes hardly any padding."""
