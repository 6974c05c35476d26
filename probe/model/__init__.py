"""The user's model, its weights and its example input: making them from a name, and leaving them as they were."""
