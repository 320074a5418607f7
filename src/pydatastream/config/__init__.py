"""The pipeline file: read safely, with the place of every value, and written again."""
