"""The digest: from frames to values, and from values to words."""
