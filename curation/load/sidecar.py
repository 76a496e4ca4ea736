"""Joins the features beside a release to its samples, by the caption that was drawn."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from curation.core.errors import RootError
from curation.load.features import FOLDER, VISUAL, FeaturesFile, features_url, hash_of, look_hash, pad

if TYPE_CHECKING:
    import torch

FeaturesForm = Literal["pad", "valid"]
_OPEN = 64  # a shuffle buffer mixes neighbouring shards


class Files:
    """The files of states in one folder of a release. They are opened where they are read: in the process of each
    DataLoader worker."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._files: OrderedDict[str, FeaturesFile] = OrderedDict()
        self._process = os.getpid()

    def of(self, tar: str) -> FeaturesFile:
        """The file beside a tar. Raises ``RootError`` where there is none, or a damaged one."""
        if self._process != os.getpid():  # connections to an object store do not outlive a fork
            self._files, self._process = OrderedDict(), os.getpid()
        url = features_url(tar, self._folder)
        if url not in self._files:
            self._files[url] = FeaturesFile(url)
            if len(self._files) > _OPEN:
                self._files.popitem(last=False)
        self._files.move_to_end(url)
        return self._files[url]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": OrderedDict()}


class Sidecar:
    """The features of a release."""

    def __init__(self, form: FeaturesForm) -> None:
        self._form: FeaturesForm = form
        self._files = Files(FOLDER)

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
        encoded = json.loads(made._files.of(shards[0]).metadata["kinds"])
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
        file = self._files.of(tar)
        number = file.find(hash_of(caption))
        if number is None:
            raise RootError(
                f"{file.url} has no features of the caption {caption[:60]!r}: it does not belong to the tar beside it; "
                "get both again, or make the features again"
            )
        states, mask = pad([file.states(number)], file.max_tokens if self._form == "pad" else None)
        return {"features": states[0], "features_mask": mask[0]}


class Sights:
    """What a vision model saw of one kind of look at a release's windows or pictures."""

    def __init__(self, look: str, shards: Sequence[str]) -> None:
        """Raises ``RootError`` where there are no visual features, ``ValueError`` for a look that was not encoded."""
        self._look = look
        self._files = Files(VISUAL)
        there = json.loads(self._files.of(shards[0]).metadata["looks"])
        if look not in there:
            raise ValueError(
                f"visual is {look!r}, which was not looked at; the release has {', '.join(there)}: name one of these, "
                "or make features of it too (visual.looks)"
            )

    def of_window(self, tar: str, annotation: Mapping[str, Any], window: Mapping[str, Any]) -> torch.Tensor:
        """The states of a sample's window, or of its picture: float16 or bfloat16 (tokens, width).

        Raises ``RootError`` where they are not there.
        """
        file, sha256 = self._files.of(tar), annotation["sha256"]
        if self._look == "picture":
            key = look_hash(sha256, (0, 0, annotation["width"], annotation["height"]))
        else:
            key = look_hash(sha256, window["box"], window["mask_box"] if self._look == "visible" else ())
        number = file.find(key)
        if number is None:
            raise RootError(
                f"{file.url} has nothing of sample {annotation['sample_id']}: it does not belong to the tar beside it; "
                "get both again, or make the features again"
            )
        return file.states(number)
