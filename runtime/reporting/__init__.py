"""A report in its forms: terminal, JSON, JUnit, HTML, Model Explorer. `forms.py` is the table of them."""
