"""ONNX file -> probe: every value of a file that somebody else made becomes an output, under its own name.

`reading.py` refuses what isn't sound and sorts what isn't sorted; `probing.py` is the order of things, and `loading.py`
adds the user's own inputs. Nothing here needs PyTorch.
"""
