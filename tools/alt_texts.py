"""What a notebook's images are in words: a cell's metadata `alt` belongs to every image that it shows."""


def add_alt(notebook):
    """Copy the metadata `alt` of each cell into the metadata of its image outputs, where front ends look for it."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for mime in output.get("data", {}):
                if mime.startswith("image/") and "alt" in cell.metadata:
                    output.setdefault("metadata", {}).setdefault(mime, {})["alt"] = cell.metadata["alt"]
    return notebook
