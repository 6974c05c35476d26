"""What an artifact costs to run: times, ratios and memory, as data, as a table and as a picture."""
