"""Labelled recordings with thefts nobody tuned a detector for: other thieves planted in the clean keys of a labelled recording."""
