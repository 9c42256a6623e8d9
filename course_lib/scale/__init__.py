"""Chapter 17: where one machine ends. Approximate search, a database of vectors, encoding on several machines."""
