"""What a rank needs in its environment, on a Gaudi and on a plain CPU."""
