"""A model file that somebody else made, and its source -> an artifact of that file under the source's names.

The names in the file are lost: `matching.py` finds by value which of its tensors computes what, `faults.py` goes on
behind a fault, and `candidate_artifact.py` writes the artifact, which `verify` judges like any other.
"""
