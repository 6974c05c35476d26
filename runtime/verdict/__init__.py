"""Who is wrong, where, and by how much.

`verification.py` is the order of things. `drift.py` compares one output with its truth, by the limits that pass;
`error_shares.py` splits the error into introduced and inherited; `judge.py` judges a whole runner; `blame.py` names the
culprit and writes the headline; `report.py` is the result as data; `verdict_kinds.py` the table of verdicts.
"""
