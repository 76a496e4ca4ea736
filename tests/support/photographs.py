"""Photographs under free licences, from packages that others ship. None of them is part of this repository.

    python -m tests.support.photographs

fetches the Debian packages with ``apt-get download`` and unpacks them into ``.photographs`` (about 240 MB; root is
not needed). ``photographs()`` then lists 171 photographs, no two of which show the same scene. Without that step,
``in_wheel()`` lists the few that scikit-image carries in its wheel.

| package | photographs | licence |
|---|---:|---|
| gcompris-qt-data | 121 | CC BY, CC BY-SA, CC0 or public domain by file, else (A)GPL-3: its ``copyright`` file |
| lomiri-wallpapers-16.04 | 12 | CC BY 4.0, CC BY-SA 4.0, CC0 by file: its ``copyright`` file |
| lomiri-wallpapers-20.04 | 1 | CC BY-SA 3.0 |
| mate-backgrounds | 12 | GPL-2+ |
| plasma-workspace-wallpapers | 11 | GPL-2+ |
| scikit-image (PyPI) | 14 | CC0 or public domain by file: ``skimage/data/README.txt`` |
"""

from __future__ import annotations

import importlib.util
import io
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FOLDER = Path(__file__).resolve().parents[2] / ".photographs"
_LOMIRI = "usr/share/backgrounds"
_LOMIRI_NAMES = (
    "Bridge_by_Sander_Klootwijk Dragonfly_by_Bolly Picture_0B_by_freespace Picture_1A_by_freespace Wine_by_Jakkub_Mede "
    "aitzgorri_by_Aitzol_Berasategi free_by_Peter_Nerlich friends_by_Aitzol_Berasategi greentock_by_Peter_Nerlich "
    "life_by_Aitzol_Berasategi picosdeeuropa_by_Aitzol_Berasategi seeding_by_Clements_Engelhardt"
)
_MATE_NAMES = "Aqua Blinds Dune FreshFlower Garden GreenMeadow LadyBird RainDrops Storm TwoWings Wood YellowFlower"
_PLASMA_NAMES = (
    "BytheWater ColdRipple ColorfulCups DarkestHour EveningGlow FallenLeaf Grey Kite OneStandsOut Path summer_1am"
)
# The wallpaper packages hold drawings too, so that the photographs among them are named.
_FILES: Mapping[str, tuple[str, ...]] = {
    "lomiri-wallpapers-16.04": tuple(f"{_LOMIRI}/{name}.jpg" for name in _LOMIRI_NAMES.split()),
    "lomiri-wallpapers-20.04": (f"{_LOMIRI}/Kleiber_by_Lukas_Baubkus.jpg",),
    "mate-backgrounds": tuple(f"usr/share/backgrounds/mate/nature/{name}.jpg" for name in _MATE_NAMES.split()),
    "plasma-workspace-wallpapers": tuple(
        f"usr/share/wallpapers/{name}/contents/images/2560x1600.jpg" for name in _PLASMA_NAMES.split()
    ),
}
_GCOMPRIS = "gcompris-qt-data"
_ACTIVITIES = (
    *("clickgame", "erase", "explore_farm_animals", "explore_monuments", "explore_world_animals"),
    "explore_world_music",
)
_SMALLEST = 300  # pixels of the shorter side; smaller pictures there are icons
_SKIMAGE_NAMES = (
    "astronaut.png brick.png camera.png chelsea.png coffee.png coins.png grass.png gravel.png hubble_deep_field.jpg "
    "ihc.png moon.png motorcycle_left.png retina.jpg rocket.jpg"
)
PACKAGES = (*_FILES, _GCOMPRIS)


@dataclass(frozen=True)
class Photograph:
    """``name`` is unique; ``read`` returns the file's bytes (JPEG, PNG or WebP)."""

    name: str
    package: str
    read: Callable[[], bytes]

    def image(self) -> Image.Image:
        """The whole picture as RGB."""
        with Image.open(io.BytesIO(self.read())) as image:
            return image.convert("RGB")

    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3) as RGB."""
        return np.asarray(self.image())


def in_wheel() -> list[Photograph]:
    """The photographs of the installed scikit-image."""
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        raise RuntimeError("scikit-image is not installed; it is part of the extra dev: pip install -e '.[dev]'")
    folder = Path(found.origin).parent / "data"
    return [
        Photograph(name.split(".")[0], "scikit-image", (folder / name).read_bytes) for name in _SKIMAGE_NAMES.split()
    ]


def photographs() -> list[Photograph]:
    """All photographs, in the same order everywhere. Raises ``RuntimeError`` where they were not fetched."""
    if missing := [package for package in PACKAGES if not (FOLDER / package).is_dir()]:
        raise RuntimeError(f"{FOLDER} lacks {', '.join(missing)}; fetch with: python -m tests.support.photographs")
    named = [
        Photograph(_name(file), package, (FOLDER / package / file).read_bytes)
        for package, files in _FILES.items()
        for file in files
    ]
    return [*in_wheel(), *named, *_gcompris()]


def fetch() -> None:
    """Downloads and unpacks what is missing of ``PACKAGES``. Raises ``RuntimeError`` where apt-get cannot."""
    FOLDER.mkdir(exist_ok=True)
    for package in PACKAGES:
        if (FOLDER / package).is_dir():
            continue
        print(f"fetching {package}", flush=True)
        try:
            subprocess.run(["apt-get", "download", "-q", package], cwd=FOLDER, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise RuntimeError(
                f"cannot fetch the Debian package {package} ({error}); run apt-get update as root and try again, or "
                f"unpack the package into {FOLDER / package} by hand"
            ) from error
        (archive,) = FOLDER.glob(f"{package}_*.deb")
        half = FOLDER / f"{package}.half"
        shutil.rmtree(half, ignore_errors=True)
        subprocess.run(["dpkg", "-x", str(archive), str(half)], check=True)
        archive.unlink()
        half.rename(FOLDER / package)


def _name(file: str) -> str:
    parts = file.split("/")
    return parts[-4] if "contents" in parts else Path(file).stem


def _gcompris() -> list[Photograph]:
    folder = FOLDER / _GCOMPRIS / "usr/share/gcompris-qt/rcc"
    found = []
    for activity in _ACTIVITIES:
        for path, data in sorted(_resources((folder / f"{activity}.rcc").read_bytes())):
            if data[8:12] == b"WEBP":
                with Image.open(io.BytesIO(data)) as image:
                    large = min(image.size) >= _SMALLEST
                if large:
                    found.append(Photograph(f"{activity}-{Path(path).stem}", _GCOMPRIS, lambda data=data: data))
    return found


def _resources(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of each file of a Qt resource collection (.rcc, versions 1 to 3) that is stored as it is."""

    def number(at: int, size: int = 4) -> int:
        return int.from_bytes(data[at : at + size], "big")

    version, tree, payload, names = (number(4 + 4 * i) for i in range(4))
    entry = 14 if version < 2 else 22
    left = [(0, "")]
    while left:
        node, folder = left.pop()
        at = tree + entry * node
        name = names + number(at)
        path = folder + "/" + data[name + 6 : name + 6 + 2 * number(name, 2)].decode("utf-16-be") if node else ""
        flags = number(at + 4, 2)
        if flags & 2:
            left += [(number(at + 10) + child, path) for child in range(number(at + 6))]
        elif not flags & 5:  # neither zlib nor zstd
            start = payload + number(at + 10)
            yield path, data[start + 4 : start + 4 + number(start)]


if __name__ == "__main__":
    try:
        fetch()
    except RuntimeError as failed:
        sys.exit(str(failed))
    print(f"{len(photographs())} photographs in {FOLDER}", file=sys.stderr)
