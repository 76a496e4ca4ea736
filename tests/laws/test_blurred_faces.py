"""Whole runs that blur the faces of what they release."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
from PIL import Image
from skimage import data as photographs

from curation.core.store import Store
from tests.support.runs import refine
from tests.support.toy import fingerprint

SETTINGS = ["caption.backend=scripted", "export.val=0", "export.test=0", "check.names=ignore"]
STORED = ("images", "tables", "manifest/images")


def released(root: str) -> dict[str, tuple[bytes, dict[str, Any]]]:
    """The released pictures and their .json, by file of the source."""
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted(Path(root).glob("release/*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                name, _, ending = member.name.partition(".")
                found.setdefault(name, {})[ending] = tar.extractfile(member).read()  # type: ignore[union-attr]
    samples = [(members["jpg"], json.loads(members["json"])) for members in found.values()]
    return {told["alt_text"].split()[2]: (data, told) for data, told in samples}


def stored(root: str) -> dict[str, str]:
    of_root = fingerprint(Store(root), *STORED)
    return {name: sha for name, sha in of_root.items() if not name.startswith("tables/released")}


def test_a_recipe_switches_blurred_faces_on_and_off_and_only_the_release_changes(tmp_path: Path) -> None:
    source, root = tmp_path / "source", str(tmp_path / "root")
    source.mkdir()
    for name in ("astronaut", "coffee"):
        Image.fromarray(getattr(photographs, name)()).save(source / f"{name}.png")
        (source / f"{name}.txt").write_text(f"picture of {name} on a day")
    refine(root, str(source), SETTINGS)
    plain, before = released(root), stored(root)
    refine(root, str(source), [*SETTINGS, "export.blur_faces=true"])
    found = released(root)
    assert {name: told["faces_blurred"] for name, (_, told) in found.items()} == {"astronaut": 1, "coffee": 0}
    assert found["coffee"][0] == plain["coffee"][0] and found["astronaut"][0] != plain["astronaut"][0]
    for data, told in found.values():
        assert told["sha256"] == hashlib.sha256(data).hexdigest() and told["bytes"] == len(data)
    assert stored(root) == before
    own = {"faces_blurred", "sha256", "bytes"}
    for name, (_, told) in found.items():
        assert {k: v for k, v in told.items() if k not in own} == {
            k: v for k, v in plain[name][1].items() if k not in own
        }
    (metadata,) = Path(root).glob("release/metadata/*.parquet")
    rows = {
        row["sha256"]: json.loads(row["annotations"])["faces_blurred"] for row in pq.read_table(metadata).to_pylist()
    }
    assert rows == {told["sha256"]: told["faces_blurred"] for _, told in found.values()}
    card = Store(root).read("release/README.md").decode()
    assert "- name: faces_blurred\n" in card and "## Faces" in card
    blurred = [told["faces_blurred"] for _, told in found.values()]
    assert f"{sum(blurred)} faces, in {sum(map(bool, blurred))} of {len(blurred)} pictures" in card

    faces = [cv2.imdecode(np.frombuffer(data["astronaut"][0], np.uint8), cv2.IMREAD_COLOR) for data in (plain, found)]
    settled, hidden = (cv2.Laplacian(face[90:170, 190:250], cv2.CV_32F).std() for face in faces)
    assert hidden < settled / 4
    assert np.abs(faces[0][300:].astype(int) - faces[1][300:]).mean() < 2

    assert not [o for o in refine(root, str(source), []) if o.status != "skipped"]
    refine(root, str(source), ["export.blur_faces=false"])
    assert released(root) == plain
