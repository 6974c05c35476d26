"""Every way to execute an artifact: `registry.py` is the table of them, `base.py` the shape that they share.

Each runner has a file of its own. `machine.py` and `cuda_support.py` know what this computer has, `peak_memory.py` what
this process takes.
"""
