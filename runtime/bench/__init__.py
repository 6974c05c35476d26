"""What running an artifact costs: times, ratios and memory, as data, as a table and as a picture.

benchmarking.py: times plain model, averaged and full probe in turn: warm-up, rounds, ratios, noise, peak memory
table.py: the results as a table in the terminal, and a line for each ratio
picture.py: the results as a plot: time over batch size
"""
