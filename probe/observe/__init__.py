"""What each value of a captured graph is, observed by running it on the example."""
