"""What a notebook's cells bind, use and check, read off their code; IPython's magics are understood."""

import ast
import re
from pathlib import PurePath

from IPython.core.inputtransformer2 import TransformerManager

# Magics whose cell is no code of the notebook: another program's, or text. All others run it as if they were not there.
ELSEWHERE = set(
    "! HTML SVG bash cmd file html javascript js latex markdown perl pypy python python2 python3 ruby script sh svg sx "
    "system writefile".split()
)
ONE_LINE = {"time", "timeit", "prun"}  # magics before a statement


def translated(source):
    """The syntax tree of a text in which magics have become calls; None where it is not Python."""
    try:
        return ast.parse(TransformerManager().transform_cell(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def code(source):
    """A cell's text without magics above it: %%time, %%capture and such run the rest as if they were not there."""
    match getattr(translated(source), "body", None):
        case [ast.Expr(ast.Call(ast.Attribute(attr="run_cell_magic"), [magic, line, below]))]:
            if magic.value in ELSEWHERE:
                return source
            output = line.value.split()[-1:] if magic.value == "capture" else []
            if output and output[0].isidentifier():  # %%capture name: later cells may show it
                empty = f"{output[0]} = __import__('IPython').utils.capture.CapturedIO(None, None)\n"
                return empty + code(below.value)
            return code(below.value)
    return source


class Statements(ast.NodeTransformer):
    """%time f = g() binds f, and %time check("05.1", f) checks it."""

    def visit_Expr(self, node):
        match node.value:
            case ast.Call(ast.Attribute(attr="run_line_magic"), [magic, line]) if magic.value in ONE_LINE:
                inner = translated(re.sub(r"^(-\w+\s+(\d+\s+)?)*", "", line.value))  # without its options
                return inner.body if inner and inner.body else node
        return node


def parsed(source):
    """The syntax tree of a cell, magics understood; None where it is not Python."""
    tree = translated(code(source))
    return tree and Statements().visit(tree)


def checks(tree):
    """{exercise: expression} of the calls check("05.1", expression) in a cell."""
    found = {}
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Call) and "check" in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
            given = dict(zip(("name", "answer"), node.args)) | {keyword.arg: keyword.value for keyword in node.keywords}
            if given.keys() == {"name", "answer"} and isinstance(getattr(given["name"], "value", None), str):
                found[given["name"].value] = ast.unparse(given["answer"])
    return found


def bound(tree):
    """Names that a cell binds, at its top level or below, or whose parts it assigns to (a.b = ..., a[0] = ...)."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            while isinstance(node, (ast.Attribute, ast.Subscript)):
                node = node.value
            names.add(getattr(node, "id", ""))
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "run_cell_magic":
            if node.args[0].value in ("writefile", "file"):  # %%writefile mine.py, which a later cell imports
                names.add(PurePath(node.args[1].value.strip()).name)
    return names


def used(tree):
    """Names that a cell reads and does not itself define or import."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.discard(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            names = (names - bound(node)) | {f"{module.split('.')[0]}.py" for module in modules}
    return names


def needed(trees, number):
    """Indices of the cells that cell `number` needs, in order, itself the last.

    They are the earlier ones that bind what it uses, and what those need in turn.
    """
    chosen, wanted = {number}, used(trees[number]) if trees[number] else set()
    while True:
        more = {i for i in range(number) if i not in chosen and trees[i] and bound(trees[i]) & (wanted | {"*"})}
        if not more:
            return sorted(chosen)
        chosen |= more
        wanted = wanted.union(*(used(trees[i]) for i in more))
