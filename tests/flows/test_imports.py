"""A command imports what is heavy only when it needs it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.support.processes import run

# Not pandas: pyarrow imports it for every list that becomes a column.
HEAVY = {"cv2", "img2dataset", "numba", "onnxruntime", "rapidocr", "ray", "scipy", "sklearn", "torch", "transformers"}
HELP = """
from flows.refine_laion import main
try:
    main(["--help"])
except SystemExit:
    pass
"""
DRY_RUN = """
from flows.refine_laion import main
assert main(["--source", {source!r}, "--root", {root!r}, "--set", "caption.backend=scripted", "--engine", "local",
             "--dry-run"]) == 0
"""
# All that a run does before it fetches, but for what Prefect itself does.
TO_THE_DOWNLOAD = """
import flows.refine_laion
from curation.core.engines.local import LocalEngine
from curation.core.root import resolve_recipe
from curation.core.store import Store
from curation.products.refine import LAION_REFINED
from schemas.refine import RefineLaion
store = Store({root!r})
recipe = resolve_recipe(RefineLaion, store, None, ["caption.backend=scripted"])
steps = LAION_REFINED.ready(recipe, [{source!r}], store)
before = [step.name for step in steps]
for step in steps[:before.index("download")]:
    step.run(store, LocalEngine(), lambda outcome: None)
"""
# A root of one product asks for no other: each takes tenths of a second.
ASKED = """
import sys
from flows.what_if import main
from pathlib import Path
assert main([{root!r}, "--set", "source.min_side=9"]) == 2
found = {{name for name in sys.modules if name.startswith("curation.products.")}}
assert "curation.products.refine" in found
assert found <= {{"curation.products.product", "curation.products.pictures", "curation.products.refine"}}, found
"""
TELL = """
import sys
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[1:]))), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "program", [HELP, DRY_RUN, TO_THE_DOWNLOAD, ASKED], ids=["help", "dry-run", "to the download", "asked"]
)
def test_nothing_heavy_is_imported_before_it_is_needed(program: str, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    Image.effect_noise((300, 240), 20).save(tmp_path / "source" / "a.png")
    (tmp_path / "source" / "a.txt").write_text("a picture of noise")
    filled = program.format(source=str(tmp_path / "source"), root=str(tmp_path / "root"))
    done = run([sys.executable, "-c", filled + TELL, *sorted(HEAVY)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1].split() == []
