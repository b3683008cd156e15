"""The wall around the core, and the public API."""

import ast
import importlib
import importlib.util
import pkgutil
import subprocess
import sys
from pathlib import Path

import entrannas

SOURCES = Path(entrannas.__path__[0])


def test_the_core_imports_python_numpy_torch_and_itself() -> None:
    """Triton is imported by the kernels that are written in it alone, and no module from outside at any line."""
    for path in (SOURCES / "core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or "" for _ in [0] if isinstance(node, ast.ImportFrom)]
            allowed = {"numpy", "torch", *sys.stdlib_module_names} | (
                {"triton"} if path.parent.name == "triton" else set()
            )
            for name in names:
                assert name.split(".")[0] in allowed or name.startswith("entrannas.core"), f"{path}: {name}"


def test_no_module_is_hidden_by_a_function_of_the_api() -> None:
    for found in pkgutil.iter_modules(entrannas.__path__):
        assert found.name not in entrannas.__all__


def test_the_api_opens_as_its_stub_says() -> None:
    """From the same modules, and its `__all__` names them all: mypy and editors read no more than that."""
    tree = ast.parse((SOURCES / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    (listed,) = (ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
    assert sorted(entrannas.__all__) == sorted(listed) == sorted(alias.name for node in imports for alias in node.names)
    for node in imports:
        module = importlib.import_module(f"entrannas.{node.module}")
        assert all(getattr(entrannas, alias.name) is getattr(module, alias.name) for alias in node.names)


def test_the_library_is_imported_without_a_warning_and_without_what_only_commands_need() -> None:
    heavy = ("typer", "torch", "pydantic")
    code = f"import entrannas, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")
