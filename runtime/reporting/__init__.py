"""What came of a verification or comparison, as data (`report.py`), and each form in which it is shown or kept."""
