"""What makes the house readable, held by tests: no cycles, short files, plain classes, light imports, no private paths."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

import semimech

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src" / "semimech").rglob("*.py"))
LONGEST_FILE = 300
IMPORT_SECONDS = 2.0


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def classes() -> list[type]:
    """Every class of the package."""
    modules = [importlib.import_module(m.name) for m in pkgutil.walk_packages(semimech.__path__, "semimech.")]
    found = {c for module in modules for _, c in inspect.getmembers(module, inspect.isclass)}
    return sorted((c for c in found if c.__module__.startswith("semimech.")), key=lambda c: c.__qualname__)


def is_unfinished(cls: type) -> bool:
    """Whether a class leaves methods or (in Equinox) attributes to its children."""
    return bool(
        getattr(cls, "__abstractmethods__", None)
        or getattr(cls, "__abstractvars__", None)
        or getattr(cls, "__abstractclassvars__", None)
    )


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: the files of the repository are not known")
    return [ROOT / f for f in listed.stdout.decode().split("\0") if f and (ROOT / f).is_file()]


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_imports_form_no_cycle():
    graph = grimp.build_graph("semimech", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        list(TopologicalSorter(imports).static_order())
    except CycleError as error:
        pytest.fail("import cycle: " + " → ".join(error.args[1]))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_file_is_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", [p for p in SOURCES if p.name != "_version.py"], ids=name)
def test_a_module_says_in_one_sentence_what_lives_there(path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, "the module has no docstring"
    assert docstring.split("\n\n")[0].endswith((".", "``")), "its first paragraph is no sentence"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_source_asserts_or_pickles(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert not re.search(
        r"^\s*(import|from) (pickle|cloudpickle|dill|joblib)\b", path.read_text(encoding="utf-8"), re.M
    )


def test_a_class_is_abstract_or_final():
    faults = []
    for cls in classes():
        is_abstract = cls.__name__.lstrip("_").startswith("Abstract")
        if is_abstract != is_unfinished(cls):
            faults.append(
                f"{cls.__qualname__}: a class is named Abstract… if and only if it leaves something to fill in"
            )
        for base in cls.__bases__:
            is_ours = base.__module__.startswith("semimech.") and not issubclass(base, Exception)
            if is_ours and not base.__name__.lstrip("_").startswith("Abstract"):
                faults.append(
                    f"{cls.__qualname__} inherits from the finished class {base.__qualname__}: wrap it instead"
                )
    assert not faults, "\n".join(faults)


def test_the_package_is_imported_in_two_seconds_of_processor_time():
    code = "import time; t = time.process_time(); import semimech; print(time.process_time() - t)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) for _ in range(2)
    ]
    assert min(times) <= IMPORT_SECONDS


def test_the_public_names_exist_and_stand_in_the_documentation():
    public = [n for n in getattr(semimech, "__all__", []) if n != "__version__"]
    api = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert not [n for n in public if not hasattr(semimech, n)]
    assert not [n for n in public if f"`{n}" not in api], "write these names into docs/api.md"


def test_no_file_names_a_path_of_somebodys_machine():
    private = re.compile(r"(?<![\w.~])/(?:home|Users|root|work|tmp|mnt|scratch)/[\w.-]+")
    checkout = {str(ROOT), str(Path.home())} - {"/"}
    faults = []
    for path in tracked_files():
        text = text_of(path)
        faults += [f"{name(path)}: {match}" for match in private.findall(text)]
        faults += [f"{name(path)}: {place}" for place in checkout if re.search(re.escape(place) + r"(?!\w)", text)]
    assert not faults, "\n".join(faults)


def test_no_file_of_pins_names_a_package_host():
    files = [
        *sorted((ROOT / "requirements").iterdir()),
        ROOT / "pyproject.toml",
        ROOT / "Makefile",
        ROOT / ".ci" / "run",
    ]
    assert not [
        name(path) for path in files if re.search(r"https?://|--(extra-)?index-url|--find-links", text_of(path))
    ]


def test_every_pin_is_exact_and_hashed():
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        pins = re.split(r"\n(?=[A-Za-z0-9])", path.read_text(encoding="utf-8"))
        loose = [pin.splitlines()[0] for pin in pins if "==" not in pin.splitlines()[0] or "--hash=sha256:" not in pin]
        assert not loose, f"{name(path)}: {loose}"
