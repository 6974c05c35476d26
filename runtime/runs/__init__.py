"""Images in, recorded tensors out: reading, preprocessing, a folder's statistics, and the file that a run writes."""
