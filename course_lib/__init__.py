"""course_lib: every idea of the course once, readable, tested against the reference libraries.

Import from the module named after the idea, for example
`from course_lib.encoder import SentenceEncoder`. Importing `course_lib` alone loads nothing else.
"""

import warnings

__version__ = "0.1.0"

# In Jupyter without ipywidgets, tqdm.auto (transformers imports it too) prints a warning into the notebook.
warnings.filterwarnings("ignore", message="IProgress not found")
