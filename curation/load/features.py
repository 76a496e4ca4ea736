"""Hidden states beside a release: ``features/<shard>.safetensors``, read by caption without reading the whole; and
``visual/<shard>.safetensors``, read by what was looked at.

A file holds, sorted by hash, every different caption of its shard and the empty prompt:

    captions  uint8 (captions, 32)      sha256 of the caption in UTF-8
    offsets   int64 (captions + 1,)     the rows of ``states`` that are a caption's: offsets[i] to offsets[i + 1]
    cut       int64 (captions,)         tokens that were left out of it
    states    float16 or bfloat16 (tokens, width)

A file of ``visual/`` has in the place of ``captions`` and ``cut``, likewise sorted,

    looks     uint8 (looks, 32)         ``look_hash`` of each
    images    uint8 (looks, 32)         sha256 of the stored image that was looked at

The header is read here and ``states`` is mapped into memory (read by range on an object store): the safetensors
package would be one more thing to install where a model is trained, and its mapping cannot be read by range.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import numpy.typing as npt

from curation.core.errors import RootError

if TYPE_CHECKING:
    import torch  # only who asks for tensors waits for it: every command knows this module

FOLDER = "features"
VISUAL = "visual"
FOLDERS = (FOLDER, VISUAL)
"""The folders of a release that hold files of states."""
SUFFIX = ".safetensors"
DTYPES = {"F16": "float16", "BF16": "bfloat16"}
_WORDS: Mapping[str, np.dtype[Any]] = {
    "U8": np.dtype("u1"),
    "I64": np.dtype("<i8"),
    "F16": np.dtype("<u2"),
    "BF16": np.dtype("<u2"),
}
_LARGEST_HEADER = 100_000_000  # as the format itself has it

Words = npt.NDArray[np.uint16]


def hash_of(caption: str) -> bytes:
    """What a caption's states are found by: sha256 of its UTF-8, 32 bytes."""
    return hashlib.sha256(caption.encode("utf-8", "replace")).digest()


def look_hash(image_sha256: str, box: Sequence[int], hidden: Sequence[int] = ()) -> bytes:
    """What the states of a part of an image are found by, 32 bytes: sha256 of the image's own (hex), the box that was
    looked at, and the box within it that was hidden, all as JSON."""
    seen = [image_sha256, [int(v) for v in box], [int(v) for v in hidden]]
    return hashlib.sha256(json.dumps(seen, separators=(",", ":")).encode()).digest()


def heads(hashes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """The first eight bytes of hashes (rows), as numbers of the same order."""
    return np.ascontiguousarray(hashes[:, :8]).view(">u8").reshape(-1).astype(np.uint64)


def features_url(tar: str, beside: str = FOLDER) -> str:
    """The URL of the features beside a release's tar, in one of ``FOLDERS``."""
    folder, _, name = tar.rpartition("/")
    return f"{folder}/{beside}/{name.removesuffix('.tar')}{SUFFIX}"


class FeaturesFile:
    """The states of one release shard. Opening it reads the header and the hashes, a few bytes a caption."""

    def __init__(self, url: str) -> None:
        """Raises ``RootError`` for a file that is missing or damaged."""
        self.url = url
        self._fs, self._path = fsspec.core.url_to_fs(url)
        protocol = self._fs.protocol
        self._local = "file" in ((protocol,) if isinstance(protocol, str) else protocol)
        try:
            self._read_header()
        except FileNotFoundError as error:
            key = f"{url.rsplit('/', 2)[-2]}.model"
            raise RootError(f"{url} is not there; get it again, or make the release with {key} set") from error
        except (ValueError, KeyError, TypeError, struct.error) as error:
            raise RootError(f"{url} is damaged ({error}); get it again") from error

    def _read_header(self) -> None:
        size = int(self._fs.size(self._path))
        (length,) = struct.unpack("<Q", self._range(0, 8))
        if length > min(size, _LARGEST_HEADER):
            raise ValueError(f"its header would be {length} bytes")
        header = json.loads(self._range(8, 8 + length))
        self._start = 8 + length
        self.metadata: Mapping[str, str] = header["__metadata__"]
        end = max(field["data_offsets"][1] for name, field in header.items() if name != "__metadata__")
        if self._start + end != size:
            raise ValueError(f"it has {size} bytes where its header promises {self._start + end}")
        self._dtype = DTYPES[header["states"]["dtype"]]
        self._tokens, self.width = (int(n) for n in header["states"]["shape"])
        self._begin = self._start + int(header["states"]["data_offsets"][0])
        self._hashes = self._whole(header["captions"] if "captions" in header else header["looks"])
        self._heads = heads(self._hashes)
        self._offsets = self._whole(header["offsets"])
        self._cut = self._whole(header["cut"]) if "cut" in header else np.zeros(len(self._hashes), np.int64)
        self._images = self._whole(header["images"]) if "images" in header else None
        self._states: Words | None = None  # mapped at the first look

    @property
    def dtype(self) -> torch.dtype:
        """float16 or bfloat16."""
        import torch

        found: torch.dtype = getattr(torch, self._dtype)
        return found

    @property
    def stored(self) -> str:
        """The name of that type."""
        return self._dtype

    @property
    def hashes(self) -> npt.NDArray[np.uint8]:
        """The hashes of captions, or of looks, sorted: (captions, 32)."""
        return self._hashes

    @property
    def images(self) -> npt.NDArray[np.uint8] | None:
        """The sha256 of the image of each look: (looks, 32); None in a file of captions."""
        return self._images

    @property
    def max_tokens(self) -> int:
        """The most tokens that a caption may have."""
        return int(self.metadata["max_tokens"])

    def find(self, caption_hash: bytes) -> int | None:
        """The number of the caption with this hash; None where it is not here."""
        at = int(np.searchsorted(self._heads, int.from_bytes(caption_hash[:8], "big")))
        while at < len(self._hashes) and self._hashes[at, :8].tobytes() == caption_hash[:8]:
            if self._hashes[at].tobytes() == caption_hash:
                return at
            at += 1
        return None

    def words(self, number: int) -> Words:
        """A caption's states as 16-bit words (tokens, width), a copy. Raises ``RootError`` where they are cut off."""
        first, last = int(self._offsets[number]), int(self._offsets[number + 1])
        if not 0 <= first <= last <= self._tokens:
            raise RootError(f"{self.url} is damaged (offsets {first} to {last} of {self._tokens}); get it again")
        if not self._local:
            row = self.width * 2
            data = self._range(self._begin + first * row, self._begin + last * row)
            return np.frombuffer(data, "<u2").reshape(last - first, self.width).copy()
        if self._states is None:
            shape = (self._tokens, self.width)
            self._states = np.memmap(self._path, dtype="<u2", mode="r", offset=self._begin, shape=shape)
        return np.array(self._states[first:last])

    def states(self, number: int) -> torch.Tensor:
        """A caption's states: float16 or bfloat16 (tokens, width)."""
        import torch

        return torch.from_numpy(self.words(number).view(np.int16)).view(self.dtype)

    def length(self, number: int) -> int:
        """How many tokens of a caption are stored."""
        return int(self._offsets[number + 1] - self._offsets[number])

    def cut(self, number: int) -> int:
        """How many tokens of a caption were left out."""
        return int(self._cut[number])

    def _range(self, start: int, end: int) -> bytes:
        data = bytes(self._fs.cat_file(self._path, start=start, end=end))
        if len(data) != end - start:
            raise ValueError(f"it ends after {start + len(data)} bytes")
        return data

    def _whole(self, field: Mapping[str, Any]) -> npt.NDArray[Any]:
        first, last = field["data_offsets"]
        data = self._range(self._start + int(first), self._start + int(last))
        values: npt.NDArray[Any] = np.frombuffer(data, _WORDS[field["dtype"]]).reshape(field["shape"])
        return values


def pad(features: Sequence[torch.Tensor], length: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """States (tokens, width) of several captions as one tensor (captions, length, width), and their mask.

    The mask (captions, length) is true at tokens and false at the zeros behind them. ``length`` is that of the longest
    by default. Raises ``ValueError`` where one is longer.
    """
    import torch

    longest = max((len(f) for f in features), default=0)
    length = longest if length is None else length
    if longest > length or not features:
        raise ValueError(f"{len(features)} captions with up to {longest} tokens cannot be padded to {length}")
    states = features[0].new_zeros(len(features), length, features[0].shape[1])
    mask = torch.zeros(len(features), length, dtype=torch.bool)
    for row, found in enumerate(features):
        states[row, : len(found)] = found
        mask[row, : len(found)] = True
    return states, mask


@dataclass(frozen=True)
class Packed:
    """States of several captions one behind the other, without padding.

    ``states`` (tokens, width); ``offsets`` int32 (captions + 1,), where each begins, as attention for sequences of
    varying length wants it (cu_seqlens); ``owner`` int64 (tokens,), the caption that a token belongs to.
    """

    states: torch.Tensor
    offsets: torch.Tensor
    owner: torch.Tensor

    @property
    def mask(self) -> torch.Tensor:
        """Which tokens may attend to which: bool (tokens, tokens), true within a caption."""
        return self.owner[:, None] == self.owner[None, :]


def pack(features: Sequence[torch.Tensor]) -> Packed:
    """States (tokens, width) of several captions as one. Raises ``ValueError`` for none."""
    import torch

    if not features:
        raise ValueError("there are no captions to pack")
    lengths = torch.tensor([len(f) for f in features])
    offsets = torch.cat((torch.zeros(1, dtype=torch.int64), lengths.cumsum(0))).to(torch.int32)
    return Packed(torch.cat(list(features)), offsets, torch.arange(len(features)).repeat_interleave(lengths))
