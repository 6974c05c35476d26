"""Getting the user's model, its weights and its input, and leaving them as they were."""
