"""What `vfo plugin new` writes: a package with one product that works, its tests, and the page that its author completes."""

from importlib import resources
from pathlib import Path

NAME, MODULE, CLASS = "@NAME@", "@MODULE@", "@CLASS@"


def render(name: str) -> dict[str, str]:
    """The files of a new package by their paths; *name*: of the plugin, in small letters, digits and dashes."""
    module = f"vfo_{name.replace('-', '_')}"
    words = {NAME: name, MODULE: module, CLASS: "".join(part.capitalize() for part in name.split("-"))}
    return {path: _filled(source, words) for path, source in _files(module).items()}


def write(name: str, folder: Path) -> list[Path]:
    """Write the package into *folder*, which is made. Raises FileExistsError, before anything is written, when a file is there already."""
    files = {folder / path: text for path, text in render(name).items()}
    for path in files:
        if path.exists():
            raise FileExistsError(path)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(files)


def _files(module: str) -> dict[str, str]:
    return {
        "pyproject.toml": "pyproject.toml.txt",
        "README.md": "README.md.txt",
        f"{module}.py": "plugin.py.txt",
        f"tests/test_{module}.py": "test_plugin.py.txt",
    }


def _filled(source: str, words: dict[str, str]) -> str:
    text = (resources.files(__name__) / source).read_text(encoding="utf-8")
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return text
