"""What a recipe made and finds again when it is started anew: it is taken only where it was made of the same."""

from pathlib import Path

from course_lib.support.files import atomic_file


def made(path: Path, of: str) -> bool:
    """Is this file or folder there, made of what has the fingerprint `of`? If it is not, whoever asks makes it now.

    The fingerprint lies beside it, in NAME.made_of, from before it is made. ValueError where it is another one. What
    was made when nothing was noted is taken as it is, and said so.
    """
    note = path.with_name(path.name + ".made_of")
    if not path.exists():
        with atomic_file(note) as unfinished:
            unfinished.write_text(of + "\n", encoding="utf-8")
        return False
    if not note.exists():
        print(f"{path} is there, and nobody noted what it was made of: it is taken as it is", flush=True)
    elif note.read_text(encoding="utf-8").strip() != of:
        raise ValueError(f"{path} was made of other data, or with other settings: remove it, and it is made anew")
    return True
