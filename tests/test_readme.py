"""The tree in README.md is the tree on disk; `make docs` writes it anew."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PACKAGE = ROOT / "src" / "medseal"
BLOCK = re.compile(r"(<!-- tree -->\n```\n).*?(\n```\n<!-- /tree -->)", re.DOTALL)


def first_line(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, f"{path} has no docstring"
    return docstring.splitlines()[0].rstrip(".")


def folder_lines(folder: Path, depth: int) -> list[str]:
    lines = []
    for path in sorted(folder.glob("*.py")):
        if path.name != "__init__.py":
            lines.append(f"{'  ' * depth}{path.name:28} {first_line(path)}")
    for path in sorted(child for child in folder.iterdir() if (child / "__init__.py").is_file()):
        lines.append(f"{'  ' * depth}{path.name + '/':28} {first_line(path / '__init__.py')}")
        lines += folder_lines(path, depth + 1)
    return lines


def tree() -> str:
    lines = ["src/medseal/", *folder_lines(PACKAGE, 1)]
    lines.append(f"{'benchmarks/':30} {first_line(ROOT / 'benchmarks' / '__init__.py')}")
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        if path.name != "__init__.py":
            lines.append(f"  {path.name:28} {first_line(path)}")
    return "\n".join(line.rstrip() for line in lines)


def with_tree(text: str) -> str:
    assert BLOCK.search(text), "README.md has no tree block"
    return BLOCK.sub(lambda match: match[1] + tree() + match[2], text)


def test_the_tree_in_the_readme_is_the_tree_on_disk() -> None:
    text = README.read_text()
    assert text == with_tree(text), "run: make docs"


if __name__ == "__main__":
    README.write_text(with_tree(README.read_text()))
