"""Weights & Biases: every call to its client is made here.

`tracker.py` is the tracker, `inputs.py` finds or makes the W&B artifacts of datasets and tokenizers,
`drafts.py` fills an artifact before it is logged, `uris.py` names things as W&B allows, `run.py` is the run
itself, and `errors.py` maps the client's exceptions onto the kit's.
"""
