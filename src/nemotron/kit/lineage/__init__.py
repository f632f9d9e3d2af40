"""What was made from what: the graph as a value, questions to it, and how it is read from a store."""
