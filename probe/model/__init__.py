"""Loads the user's model, its weights and its input, and leaves them unchanged."""
