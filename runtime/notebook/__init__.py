"""What Jupyter shows of probes, artifacts, tensors and reports, and the statistics of each tensor.

statistics.py: table(): mean, std, range, zeros, dead channels (by scan/statistics_tables.py), NaN, as rows for pandas
tensor_rows.py: tensors as rows, at most so many: thumbnail, shape, range, sparkline of the values
outputs_table.py: outputs of a probe or manifest as a table
report_frame.py: a verification report's page in a frame
html_table.py: rows -> HTML table in the notebook's colours, light or dark
"""
