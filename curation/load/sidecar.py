"""Joins the features beside a release to its samples, by the caption that was drawn."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from curation.core.errors import RootError
from curation.load.features import FeaturesFile, features_url, hash_of, pad

FeaturesForm = Literal["pad", "valid"]
_OPEN = 64  # a shuffle buffer mixes neighbouring shards


class Sidecar:
    """The features of a release. Files are opened where they are read: in the process of each DataLoader worker."""

    def __init__(self, form: FeaturesForm) -> None:
        self._form: FeaturesForm = form
        self._files: OrderedDict[str, FeaturesFile] = OrderedDict()
        self._process = os.getpid()

    @classmethod
    def of(cls, features: bool | FeaturesForm, shards: Sequence[str], weights: Mapping[str, float]) -> Sidecar | None:
        """The features as they are asked for; None where they are not.

        Raises ``RootError`` where there are none, ``ValueError`` for another form, or for kinds of caption that were
        not encoded.
        """
        if features is False:
            return None
        if features not in (True, "pad", "valid"):
            raise ValueError(f'features is {features!r}; True, "pad" or "valid" was expected')
        made = cls("valid" if features == "valid" else "pad")
        encoded = json.loads(made._file(shards[0]).metadata["kinds"])
        others = (
            {"preferred"} if encoded else {*weights} - {"alt_text"}
        )  # without names, all but the alt text are there
        missing = sorted(kind for kind, w in weights.items() if w > 0 and kind not in {*encoded, *others})
        if missing:
            there = ", ".join(encoded) or "all captions without the alt text"
            raise ValueError(
                f"captions draws {missing[0]!r}, which has no features; the release has those of {there}: leave it "
                "out, or make features of it too (features.kinds)"
            )
        return made

    def of_caption(self, tar: str, caption: str) -> dict[str, Any]:
        """``features`` and ``features_mask`` of a tar's caption. Raises ``RootError`` where they are not there."""
        file = self._file(tar)
        number = file.find(hash_of(caption))
        if number is None:
            raise RootError(
                f"{file.url} has no features of the caption {caption[:60]!r}: it does not belong to the tar beside it; "
                "get both again, or make the features again"
            )
        states, mask = pad([file.states(number)], file.max_tokens if self._form == "pad" else None)
        return {"features": states[0], "features_mask": mask[0]}

    def _file(self, tar: str) -> FeaturesFile:
        if self._process != os.getpid():  # connections to an object store do not outlive a fork
            self._files, self._process = OrderedDict(), os.getpid()
        url = features_url(tar)
        if url not in self._files:
            self._files[url] = FeaturesFile(url)
            if len(self._files) > _OPEN:
                self._files.popitem(last=False)
        self._files.move_to_end(url)
        return self._files[url]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": OrderedDict()}
