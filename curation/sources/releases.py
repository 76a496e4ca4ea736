"""A release of ours as a source, or the root that holds it: its tars are read, and nothing else of the root."""

from __future__ import annotations

from dataclasses import replace

from curation.core.errors import SourceError
from curation.sources.listing import Found, Listing

_RELEASE = "release/"
# What stands beside a tar, in folders of their own. The loader's module that names the last two brings torch.
_BESIDE = {"metadata": ".parquet", "features": ".safetensors", "visual": ".safetensors"}


def release_of(listing: Listing) -> Listing:
    """The release within a listing of a root; any other listing as it is. Raises ``SourceError`` where there is none.

    Names are relative to the release, so that it is read the same when either is named.
    """
    names = {f.name for f in listing.files}
    if "recipe.toml" not in names or not any(n.startswith("manifest/") for n in names):
        return listing
    files = tuple(f for f in listing.files if f.name.startswith(_RELEASE))
    if not any(f.name.endswith(".tar") for f in files):
        raise SourceError(
            f"source {listing.spec!r} is a dataset root without a finished release; finish its run, or name the lists, "
            "tars or images that it was made from"
        )
    inner = tuple(replace(f, name=f.name.removeprefix(_RELEASE)) for f in files)
    return replace(listing, base=f"{listing.base}/{_RELEASE.rstrip('/')}", files=inner)


def without_annotations(listing: Listing) -> Listing:
    """The listing without ``metadata/``, ``features/`` and ``visual/``, where these only add to the tars above them."""
    tars = {f.name.removesuffix(".tar") for f in listing.files if f.name.endswith(".tar")}

    def stands_beside(file: Found) -> bool:
        folder, _, last = file.name.rpartition("/")
        above, _, own = folder.rpartition("/")
        stem = f"{above}/{last}" if above else last
        suffix = _BESIDE.get(own)
        return suffix is not None and last.endswith(suffix) and stem.removesuffix(suffix) in tars

    return replace(listing, files=tuple(f for f in listing.files if not stands_beside(f)))
