"""The digest and the report of a replay: from frames to values, and from values to words."""
