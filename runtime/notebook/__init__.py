"""What Jupyter shows of probes, artifacts, tensors and reports, and the statistics of each tensor."""
