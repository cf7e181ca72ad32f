"""From text to the records that upstream trains on."""
