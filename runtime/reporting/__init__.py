"""Each form in which the report of a verification or comparison (`verdict/report.py`) is shown or stored."""
