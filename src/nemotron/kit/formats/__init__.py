"""What training data and checkpoints say of themselves: readers of heads and footers, each within limits."""
