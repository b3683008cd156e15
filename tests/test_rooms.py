"""The rooms of the house: what they export, and that imports run one way."""

import ast
import importlib.util
import pkgutil
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from types import ModuleType

import pytest

import entrannas

MODULES = {
    found.name: found.ispkg
    for found in pkgutil.walk_packages(entrannas.__path__, "entrannas.")
    if importlib.util.find_spec("triton") or not found.name.startswith("entrannas.kernels.triton")
}
PACKAGES = ["entrannas", *(name for name, is_package in MODULES.items() if is_package)]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_hidden_by_a_function(package: str) -> None:
    room = importlib.import_module(package)
    for name in MODULES:
        if name.rpartition(".")[0] == package:
            module = importlib.import_module(name)
            assert getattr(room, name.rpartition(".")[2]) is module, f"{package} exports something named as {name} is"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_room_exports_what_it_says_in_order_and_nothing_twice(package: str) -> None:
    room = importlib.import_module(package)
    exported: list[str] = getattr(room, "__all__", [])
    assert len(set(exported)) == len(exported) and all(hasattr(room, name) for name in exported)
    public = {name for name, value in vars(room).items() if name[0] != "_" and not isinstance(value, ModuleType)}
    assert public == {name for name in exported if not isinstance(getattr(room, name), ModuleType)}


DOORS = [
    stub
    for stub in sorted(Path(entrannas.__path__[0]).rglob("*.pyi"))
    if importlib.util.find_spec("triton") or stub.parent.name != "triton"
]


@pytest.mark.parametrize("stub", DOORS, ids=lambda stub: stub.parent.name)
def test_a_door_opens_as_its_stub_says(stub: Path) -> None:
    """From the same modules, and its `__all__` names them all: mypy and editors read no more than that."""
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    (listed,) = (ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
    package = ".".join(("entrannas", *stub.parent.relative_to(entrannas.__path__[0]).parts))
    room = importlib.import_module(package)
    assert sorted(room.__all__) == sorted(listed) == sorted(alias.name for node in imports for alias in node.names)
    for node in imports:
        module = importlib.import_module(f"{package}.{node.module}")
        assert all(getattr(room, alias.name) is getattr(module, alias.name) for alias in node.names)


def test_a_door_opens_a_module_only_when_something_of_it_is_asked_for() -> None:
    rooms = [package for package in PACKAGES if not package.startswith("entrannas.kernels")]
    code = f"import sys, {', '.join(rooms)}; print('torch' in sys.modules or 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr


def _imports(name: str) -> set[str]:
    """Return the modules of the project that a module imports, wherever in it."""
    path = importlib.import_module(name).__file__
    assert path is not None
    found = set()
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {one for one in found if one == "entrannas" or one in MODULES} - {name}


def test_imports_of_rooms_run_one_way() -> None:
    """None comes back to the room that it started from, and no room imports from the whole."""
    rooms: dict[str, set[str]] = {}
    for name in MODULES:
        here = name.split(".")[1]
        imported = _imports(name)
        assert "entrannas" not in imported, name
        rooms.setdefault(here, set()).update({one.split(".")[1] for one in imported} - {here})
    order = list(TopologicalSorter(rooms).static_order())
    assert order.index("architecture") < order.index("networks") < order.index("searching") < order.index("cli")
    assert "training" not in rooms["networks"] | rooms["data"] | rooms["runs"] | rooms["runtime"]
    assert "searching" not in rooms["training"], "a training knows nothing of the search but its genotype"


def test_the_library_is_imported_without_a_warning_and_without_what_only_commands_need() -> None:
    code = "import entrannas, sys; print([name for name in ('typer', 'torch') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")
