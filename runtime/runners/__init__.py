"""Every way to execute an artifact. `registry.py` is the table of them, `base.py` their base class."""
