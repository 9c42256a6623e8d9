"""What lies in a folder, and files that belong to its owner rather than to the model in it."""


def listing(folder):
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


OTHERS = {
    "README.md": "the card",
    "thesis.tex": "years of work",
    ".git/HEAD": "ref: refs/heads/main",
    "eval/results.csv": "a,1",
    "1_Pooling/notes.txt": "why the mean",
    "2_Dense/notes.txt": "why 8",
    "pytorch_model.bin": "pickled elsewhere",
    "onnx/model.onnx": "made elsewhere",
    "checkpoint-500/config.json": "{}",
}


def add(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def others(folder):
    """What lies there of the files above, and what they are on the disk."""
    found = {name: folder / name for name in OTHERS if (folder / name).exists()}
    return {name: (file.read_text(), file.stat().st_ino, file.stat().st_mtime_ns) for name, file in found.items()}
