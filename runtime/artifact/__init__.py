"""The contract of all three packages: what an artifact holds, its types, its files, its errors.

`manifest.py` has the types and their JSON, `folder.py` opens an artifact and checks its files, `reference.py` is the
recorded input with its float64 truth, `selection.py` chooses outputs by name. It imports no other room, and neither
PyTorch nor a runtime.
"""
