"""Where a dataset root can be, and which recipe it is made by: one recipe a root."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import fsspec

from curation.core.errors import MissingFile, RecipeError, RootError
from curation.core.recipes import differences, from_toml, load, set_keys, to_toml
from curation.core.store import Store, one_line, shown
from schemas.part import Part

P = TypeVar("P", bound=Part)

RECIPE = "recipe.toml"
_ARCHIVE = "an archive cannot be written to while it is read"
_WRAPPER = "it only wraps another file system"
_READ_ONLY = "it can only be read"
# Schemes of fsspec that no root can have, each with its reason.
_NO_ROOTS = {
    **dict.fromkeys(("zip", "tar", "libarchive"), _ARCHIVE),
    **dict.fromkeys(("http", "https"), "a web server takes no files"),
    **dict.fromkeys(("data", "reference", "git", "github", "jlab", "jupyter", "dask"), _READ_ONLY),
    **dict.fromkeys(("dir", "generic", "async_wrapper"), _WRAPPER),
    **dict.fromkeys(("cached", "blockcache", "filecache", "simplecache"), "workers would each have a cache of it"),
}


def resolve_recipe(model: type[P], store: Store, path: str | None, sets: Sequence[str]) -> P:
    """Today's recipe for a root: the file's (or the root's own), with ``--set`` applied.

    Keys that ``--set`` names may differ from the root's: that is how a recipe is changed on purpose. Any other
    difference raises ``RootError``, which lists the keys.
    """
    made_by = read_recipe(model, store)
    recipe = load(model, path, sets, base=made_by)
    if made_by is not None:
        said = set_keys(sets)
        surprising = [d for d in differences(made_by, recipe) if not _covered(d.key, said)]
        if surprising:
            raise RootError(
                f"{store.url} was made with another recipe: {'; '.join(map(str, surprising))}. "
                "To change the root, pass each key with --set; otherwise name a new --root"
            )
    return recipe


def read_recipe(model: type[P], store: Store) -> P | None:
    """The recipe a root was made by; None for a new root. Raises ``RootError`` for one of another kind."""
    try:
        return from_toml(model, store.read(RECIPE), store.path(RECIPE))
    except MissingFile:
        return None
    except RecipeError as error:
        raise RootError(
            f"{store.url} was not made by a {model.__name__} recipe as it is today: {error}. "
            f"Correct that in {store.path(RECIPE)}, or name a new --root"
        ) from error


def write_recipe(store: Store, recipe: Part) -> None:
    """Records the recipe that the root is made by from now on."""
    data = to_toml(recipe)
    if not store.exists(RECIPE) or store.read(RECIPE) != data:
        store.write(RECIPE, data)


def check_free_space(store: Store, least: int = 64 * 1024 * 1024) -> None:
    """Raises ``RootError`` where a folder's disk has fewer than ``least`` bytes left."""
    if not store.is_local:
        return
    place = Path(store.path(RECIPE)).parent
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(place)
    if usage.total and usage.free < least:
        raise RootError(
            f"the disk under {store.url} has {usage.free // 2**20} MiB left; at least {least // 2**20} are needed; "
            "free space or name another --root"
        )


def open_root(url: str, *, shared: bool) -> Store:
    """The store of a root that can be written to; ``shared`` says whether other processes work on it.

    Raises ``RootError``, in one line, for a URL where no root can be.
    """
    if not url.strip():
        raise RootError("--root is empty; name a folder, or a prefix of an object store such as s3://…")
    scheme = _scheme(url)
    if "::" in url:
        raise _no_root(url, "chained URLs (with ::) can only be read")
    if scheme in _NO_ROOTS:
        raise _no_root(url, _NO_ROOTS[scheme])
    if scheme == "memory" and shared:
        raise _no_root(url, "it lives in the memory of one process, which Ray's workers do not share", "--engine local")
    if "://" not in url and scheme not in ("file", "local") and scheme in fsspec.available_protocols():
        raise _no_root(url, f"a URL has two slashes behind {scheme}:", f"{scheme}://…")
    store = Store(url)
    try:
        store.exists(RECIPE)
        file = _file_in_the_way(store)
    except Exception as error:  # a driver may raise anything of its own: no credentials, no such bucket, no network
        raise RootError(
            f"cannot read {shown(url)}: {one_line(error.__cause__ or error)}; correct the URL, its credentials or the "
            "network, or name another --root"
        ) from error
    if file is not None:
        raise RootError(f"{shown(url)} cannot be a folder: {file} is a file; name a folder, new or of a root")
    return store


def _file_in_the_way(store: Store) -> Path | None:
    """A file that stands where the root's folder, or one above it, has to be."""
    if not store.is_local:
        return None
    path = Path(store.path(RECIPE)).parent
    nearest = next((place for place in (path, *path.parents) if place.exists()), None)
    return nearest if nearest is not None and not nearest.is_dir() else None


def _scheme(url: str) -> str:
    """The scheme of a URL; empty for a path. ``data:`` is the one that fsspec reads without slashes."""
    before, found, _ = url.partition(":" if url.lower().startswith("data:") else ":/")
    return before.strip().lower() if found else ""


def _no_root(url: str, why: str, instead: str = "") -> RootError:
    use = f"use {instead}, or name" if instead else "name"
    return RootError(
        f"{shown(url)} cannot be a root: {why}; {use} a folder, or a prefix of an object store such as s3://…"
    )


def _covered(key: str, said: set[str]) -> bool:
    return any(key == s or key.startswith(s + ".") or s.startswith(key + ".") for s in said)
