"""Scores, p-values, hard rules, findings; and the artifact that carries a trained detector."""
