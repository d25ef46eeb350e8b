"""What `scripts/bench` and `scripts/bench-large` are made of."""
