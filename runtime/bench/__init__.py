"""What running an artifact costs: times, ratios and memory, as data, as a table and as a picture."""
