"""Recipes: what a dataset is made of, declared once. ``--help``, the JSON Schema and the docs say the same.

A recipe is a TOML file with one table a part. Every key has a default, so an empty file is a recipe.
Keys marked *free* change how a run goes but no byte of its result; they may differ between runs of a root.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.part import Part, Switch, free, later

Null = Literal["keep", "reject"]
COLUMN_ROLES = (
    *("url", "text", "path", "image", "width", "height", "similarity", "aesthetic", "punsafe", "pwatermark"),
    *("language", "license", "md5", "sha256"),
)
"""What a column of a list may hold, as ``source.columns`` names it."""


class Source(Part):
    """Filters on the metadata of the source, before any image is fetched."""

    switches: ClassVar[tuple[Switch, ...]] = (
        Switch(("languages",), ("null_language",)),
        Switch(("min_similarity",), ("null_similarity",)),
        Switch(("min_aesthetic",), ("null_aesthetic",)),
        Switch(("max_punsafe",), ("null_punsafe",)),
        Switch(("max_pwatermark",), ("null_pwatermark",)),
    )

    shard_rows: int = Field(10_000, ge=1, description="number of source rows in a shard [rows]")
    limit: int = free(0, ge=0, description="read only the first rows of the source; 0 for all [rows]")
    min_side: int = Field(200, ge=0, description="minimum shorter side in the source; unknown sizes pass [pixels]")
    max_aspect: float = Field(3.0, ge=0, description="maximum ratio of longer to shorter side; 0 for no limit")
    min_words: int = Field(0, ge=0, description="minimum words of alt text; 0 keeps empty ones too [words]")
    min_characters: int = Field(0, ge=0, description="minimum length of the alt text [characters]")
    max_characters: int = Field(0, ge=0, description="maximum length of the alt text; 0 for no limit [characters]")
    languages: list[str] = Field([], description="languages to keep, such as en; empty for all")
    min_similarity: float | None = Field(None, description="minimum CLIP similarity in the source [-1..1]")
    min_aesthetic: float | None = Field(None, description="minimum aesthetic score in the source [0..10]")
    max_punsafe: float | None = Field(0.5, description="maximum probability of unsafe content [0..1]")
    max_pwatermark: float | None = Field(0.8, description="maximum probability of a watermark [0..1]")
    null_language: Null = Field("keep", description="keep or reject rows of unknown language, when languages are set")
    null_similarity: Null = Field("keep", description="keep or reject rows of unknown similarity, when it has a limit")
    null_aesthetic: Null = Field(
        "keep", description="keep or reject rows of unknown aesthetic score, when it has a limit"
    )
    null_punsafe: Null = Field("keep", description="keep or reject rows of unknown punsafe, when it has a limit")
    null_pwatermark: Null = Field("keep", description="keep or reject rows of unknown pwatermark, when it has a limit")
    max_text_repeats: int = Field(10, ge=0, description="maximum rows with the same alt text; 0 for no limit [rows]")
    columns: dict[str, str | list[str]] = later(
        {},
        description="columns of a list by what they hold, where guessing is not enough: url, text, path (of an image "
        "file), image (embedded), width, height, similarity, aesthetic, punsafe, pwatermark, language, license, md5, "
        "sha256; a list of columns takes the first that is not empty; dots lead into nested values; an empty name "
        "means that there is none",
    )
    keep_columns: list[str] = later(
        ["*"],
        before=[],
        description="names or patterns of further columns of the source that travel into the catalog and into the key "
        "'source' of each released sample's .json; a name without '*', '?' and '[' may be that of a nested value",
    )
    tidy_sidecars: bool = later(
        True,
        before=False,
        description="remove blanks and line ends around the text of a file beside an image; read the text of a .json "
        "without text and caption from its only other usual key, such as prompt or description; read the captions of "
        "sd-scripts' meta_cap.json and meta_lat.json",
    )
    image_folder: str = later(
        "",
        description="folder or fsspec URL that paths of images in lists are relative to and must not leave; empty for "
        "the folder of the list",
    )
    tombstones: list[str] = later(
        [],
        description="files of tombstones of other roots (tombstones.jsonl, which a takedown writes), by path or "
        "fsspec URL; what they name is never fetched",
    )

    @field_validator("columns")
    @classmethod
    def _known_roles(cls, value: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
        unknown = [role for role in value if role not in COLUMN_ROLES]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not what a column can hold; expected {', '.join(COLUMN_ROLES)}")
        return value


class Download(Part):
    """How images are fetched and how their pixels are prepared."""

    switches: ClassVar[tuple[Switch, ...]] = (Switch(("format",), ("quality",), ("jpeg", "webp")),)

    size: int = Field(
        512, ge=16, le=8192, description="length of the side that 'resize' names; images are never enlarged [pixels]"
    )
    resize: Literal["shorter", "longer", "none"] = Field(
        "shorter", description="side that is scaled down to 'size'; nothing is cropped"
    )
    format: Literal["jpeg", "webp", "png"] = later(
        "jpeg", description="file format of exported images; png is lossless and takes several times the space"
    )
    quality: int = Field(95, ge=1, le=100, description="JPEG or WebP quality of images that have to be encoded again")
    chroma: Literal[420, 444] = later(
        420,
        description="colours of JPEGs that have to be encoded again: 420 halves their resolution across and down, 444 "
        "keeps it, for saturated graphics and text; webp is always 420, png always 444",
    )
    keep_metadata: bool = later(
        False,
        before=True,
        description="leave Exif (places, names, serial numbers), XMP, comments and thumbnails in images that are not "
        "encoded again; others have none",
    )
    min_side: int = Field(200, ge=1, description="minimum shorter side of the fetched image [pixels]")
    max_aspect: float = Field(3.0, ge=0, description="maximum ratio of longer to shorter side; 0 for no limit")
    max_pixels: int = Field(
        100_000_000, ge=1, description="maximum width times height, read from the image's header [pixels]"
    )
    max_bytes: int = Field(50_000_000, ge=1, description="maximum size of one image [bytes]")
    hash_policy: Literal["record", "reject"] = Field(
        "record", description="what to do when the bytes do not have the source's md5 or sha256"
    )
    opt_out: bool = Field(True, description="honour X-Robots-Tag and tdm-reservation")
    robots_txt: bool = Field(False, description="honour robots.txt too; costs one request a host")
    user_agent: str = Field("lapidary", description="user agent of requests; opt-outs that name it are honoured")
    contact: str = free("", description="URL or e-mail address for webmasters, sent with the user agent")
    allow_private_hosts: list[str] = Field(
        [], description="host or host:port names that may resolve to private addresses, e.g. 127.0.0.1:8000"
    )
    proxy: str | None = free(None, description="URL of an HTTP proxy; proxies of the environment are ignored")
    timeout: float = free(30.0, gt=0, description="deadline for one try, redirects included [seconds]")
    retries: int = free(2, ge=0, le=10, description="retries after a temporary failure [tries]")
    backoff: float = free(0.5, ge=0, description="wait before the first retry, doubled each time [seconds]")
    threads: int = free(32, ge=1, le=1024, description="concurrent requests of one worker [requests]")
    per_host: int = free(8, ge=1, description="concurrent requests to one host of one worker [requests]")
    host_rate: float = free(0.0, ge=0, description="requests a second to one host of one worker; 0 for no limit [1/s]")
    workers: int = free(0, ge=0, description="worker processes; 0 for one a core [processes]")

    @property
    def extension(self) -> str:
        """The extension of exported images in tars, as WebDataset knows it."""
        return "jpg" if self.format == "jpeg" else self.format

    @field_validator("chroma", mode="before")
    @classmethod
    def _subsampling(cls, value: Any) -> Any:
        """Also accepted as a text, and as 4:2:0 or 4:4:4."""
        return (
            {"420": 420, "444": 444, "4:2:0": 420, "4:4:4": 444}.get(value, value) if isinstance(value, str) else value
        )

    @model_validator(mode="after")
    def _colours(self) -> Self:
        if self.format == "webp" and self.chroma == 444:
            raise ValueError(
                'download.chroma is 444, which WebP does not have; set download.format to "jpeg" or "png" to keep the '
                "full resolution of colours"
            )
        return self


class Dedupe(Part):
    """Which images count as duplicates."""

    enabled: bool = Field(True, description="remove exact and near duplicates; if false, they still share a split")
    distance: int = Field(0, ge=0, le=16, description="maximum pHash distance without 256-bit confirmation [bits]")
    confirmed_distance: int = Field(
        14, ge=0, le=16, description="maximum pHash distance with 256-bit confirmation; no effect up to distance [bits]"
    )
    second_distance: int = Field(
        54, ge=0, le=256, description="maximum distance of the 256-bit hashes that confirms a pair [bits of 256]"
    )
    symmetries: bool = Field(
        False, description="count mirrored and rotated copies as duplicates; takes eight times the memory"
    )
    crops: bool = Field(False, description="remove crops of a larger image; hashes 34 parts of every image")
    grey_copies: bool = later(True, description="remove grey copies of a coloured image")


class Decontamination(Part):
    """Evaluation sets that the release keeps clear of, and what counts as an overlap with one."""

    on_card: ClassVar[bool] = False

    sets: list[str] = Field(
        [], description="roots, tars or folders of evaluation images; reject images near one of theirs"
    )
    shared_words: int = Field(
        8, ge=0, description="reject texts that share so many consecutive words with one of theirs; 0 for none [words]"
    )
    symmetries: bool = Field(True, description="find mirrored and turned copies of evaluation images too")


class ReleaseForm(Part):
    """What a release looks like, whatever is in it."""

    shard_size: int = Field(1000, ge=1, description="samples a release shard [samples]")
    val: float = Field(0.01, ge=0, lt=1, description="share of samples in val [0..1]")
    test: float = Field(0.01, ge=0, lt=1, description="share of samples in test [0..1]")
    seed: int = Field(0, ge=0, description="seed of the shuffle")
    name: str = later(
        "Refined image-text pairs",
        before="LAION-refined",
        min_length=1,
        description="the dataset's name on its card",
    )
    license: str = Field("other", description="the release's licence, as the hub spells it")
    license_note: str = Field(
        "Annotations are ours to license; images belong to their owners.", description="licence note of the card"
    )
    images: bool = Field(True, description="put pixels into the release; false writes annotations and urls only")
    blur_faces: bool = later(
        False,
        description="blur the faces that a detector finds in released pictures (extra faces); what the root stores "
        "stays as it is, and faces_blurred in each .json says how many",
    )


def check_splits(export: ReleaseForm) -> None:
    """Checks that the splits leave samples to train on. Raises ``ValueError``."""
    if export.val + export.test >= 1:
        raise ValueError(f"export.val + export.test = {export.val + export.test:g} leaves no train split; lower one")


class Run(Part):
    """When a run stops by itself, and what it writes for people."""

    stop_at_share: float = free(
        0.5,
        gt=0,
        le=1,
        description="share of its rows or replies that a stage may lose to one reason, counted from 200 on; a run that "
        "loses more stops and names the reason; only reasons that point at the run's network, servers, model or "
        "settings count; 1 never stops [0..1]",
    )
    report: bool = free(True, description="write the page report/index.html at the end of a run that changed the root")
