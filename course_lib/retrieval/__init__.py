"""Chapters 13 to 15: search by meaning and by words, and what can be made of similar vectors."""
