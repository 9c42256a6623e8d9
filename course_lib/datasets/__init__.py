"""Readers of data sets of single chapters, and pictures that are drawn."""
