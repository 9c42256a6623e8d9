"""What no notebook explains: devices, matrix products, batches, folders, the hub, tokenizer files, tables, checks."""
