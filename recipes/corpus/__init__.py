"""The grammar and the words behind the English-Spanish pairs."""
