"""Chapters 01 to 03: vocabularies, translators, how they decode and how good their translations are."""
