"""The contract of all three packages: what an artifact holds, its types, its files, its errors.

It imports no other room, and neither PyTorch nor a runtime.
"""
