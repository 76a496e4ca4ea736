"""Recipes: what a dataset is made of, declared once. ``--help``, the JSON Schema and the docs say the same.

A recipe is a TOML file with one table a part. Every key has a default, so an empty file is a recipe.
Keys marked *free* change how a run goes but no byte of its result; they may differ between runs of a root.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.lengths import check_lengths
from schemas.part import FORMER_NAMES as FORMER_NAMES
from schemas.part import Part as Part
from schemas.part import former_values as former_values
from schemas.part import free as free
from schemas.part import is_free as is_free
from schemas.part import later as later

Null = Literal["keep", "reject"]
COLUMN_ROLES = (
    *("url", "text", "path", "image", "width", "height", "similarity", "aesthetic", "punsafe", "pwatermark"),
    *("language", "license", "md5", "sha256"),
)
"""What a column of a list may hold, as ``source.columns`` names it."""


class Source(Part):
    """Filters on the metadata of the source, before any image is fetched."""

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
    null_aesthetic: Null = Field("keep", description="keep or reject rows of unknown aesthetic score, likewise")
    null_punsafe: Null = Field("keep", description="keep or reject rows of unknown punsafe, likewise")
    null_pwatermark: Null = Field("keep", description="keep or reject rows of unknown pwatermark, likewise")
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

    @field_validator("columns")
    @classmethod
    def _known_roles(cls, value: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
        unknown = [role for role in value if role not in COLUMN_ROLES]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not what a column can hold; expected {', '.join(COLUMN_ROLES)}")
        return value


class Download(Part):
    """How images are fetched and how their pixels are prepared."""

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


class Serve(Part):
    """A vLLM server of our own: one for each worker, started when it is needed and ended with it."""

    python: str = free(
        "", description="interpreter of vLLM's own environment, e.g. .venv-vllm/bin/python; empty starts no server"
    )
    port: int = free(0, ge=0, le=65535, description="port on 127.0.0.1; 0 takes a free one")
    tensor_parallel: int = free(1, ge=1, description="GPUs of one server [GPUs]")
    arguments: list[str] = free([], description="more arguments of vllm serve, e.g. --max-model-len=4096")
    start_timeout: float = free(1200.0, gt=0, description="maximum wait until the server answers [seconds]")
    restarts: int = free(3, ge=0, description="maximum restarts of a server that died [times]")


class CaptionKind(Part):
    """One kind of caption."""

    kind: str = Field(description="its name, e.g. dense", pattern=r"^[a-z][a-z0-9_]{0,31}$")
    prompt: str = Field(description="name of a prompt, such as dense or short:de, or path of a prompt file")
    max_tokens: int = Field(256, ge=1, le=8192, description="most reply tokens [tokens]")


class Parameters(Part):
    """Changes to the fields of each request, for servers that want others; model and messages stay as they are."""

    drop: list[str] = Field([], description='fields that are not sent, e.g. ["seed", "repetition_penalty"]')
    rename: dict[str, str] = Field(
        {}, description='fields that are sent under another name, e.g. {max_tokens = "max_completion_tokens"}'
    )
    add: dict[str, Any] = Field(
        {}, description="fields that are sent in addition, e.g. {chat_template_kwargs = {enable_thinking = false}}"
    )

    @model_validator(mode="after")
    def _fields(self) -> Self:
        named = {*self.drop, *self.rename, *self.rename.values(), *self.add}
        if taken := sorted(named & {"model", "messages"}):
            raise ValueError(f"parameters names {taken[0]!r}, which every request needs as it is; leave it out")
        return self


class Chat(Part):
    """Which language model answers, and how it samples its replies."""

    on_card: ClassVar[bool] = False
    part: ClassVar[str] = "llm"  # the recipe's table, for messages

    backend: Literal["transformers", "server", "scripted"] = Field(
        "transformers", description="in this process, an OpenAI-compatible server such as vLLM, or a script"
    )
    model: str = Field(
        "",
        description="name or folder of a checkpoint, or the name under which a server serves it; demo is the toy "
        "captioner that comes with the project; has no default for real data",
    )
    revision: str = Field("main", description="revision of that checkpoint on its hub")
    endpoints: list[str] = free([], description="base URLs of servers, e.g. http://127.0.0.1:8000/v1")
    serve: Serve = free(Serve(), description="a vLLM server that is started for the run")
    api_key_env: str = free("", description="name of the environment variable that holds the servers' API key")
    ca_bundle: str = free(
        "", description="PEM file of certificates to trust, besides those of the system and of SSL_CERT_FILE"
    )
    parameters: Parameters = later(Parameters(), description="changes to the fields of each request to a server")
    temperature: float = Field(0.0, ge=0, le=2, description="sampling temperature; 0 always takes the likeliest token")
    top_p: float = Field(1.0, gt=0, le=1, description="nucleus sampling: smallest set of tokens with this probability")
    repetition_penalty: float = Field(1.0, gt=0, description="above 1 discourages repetition")
    seed: int = Field(0, description="seed of sampling")
    batch: int = Field(8, ge=1, description="images a batch in process, cut by row")
    concurrency: int = free(32, ge=1, description="requests in flight an endpoint [requests]")
    timeout: float = free(120.0, gt=0, description="deadline for one reply [seconds]")
    retries: int = free(4, ge=0, description="retries after a temporary failure [tries]")
    device: Literal["auto", "cpu", "cuda"] = free(
        "auto", description="where an in-process model runs; cuda reserves GPUs, also for serve"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field("auto", description="type of in-process weights")
    price_in: float = free(0.0, ge=0, description="price of a million prompt tokens [currency]")
    price_out: float = free(0.0, ge=0, description="price of a million reply tokens [currency]")
    price_hour: float = free(0.0, ge=0, description="price of a GPU for an hour, if it is paid by the hour [currency]")
    workers: int = free(1, ge=0, description="actors; 0 for one a core, or one for every GPU or group of them [actors]")


class Seeing(Chat):
    """Which model looks at the images."""

    image_size: int = Field(
        0, ge=0, description="longer side of the image as the model sees it; 0 as exported [pixels]"
    )


class Captioning(Seeing):
    """Which model describes the images, and in which words it is asked."""

    part: ClassVar[str] = "caption"

    kinds: list[CaptionKind] = Field(
        [CaptionKind(kind="dense", prompt="dense", max_tokens=256)],
        description="kinds of caption in the order they are asked for; a later prompt may use an earlier text",
    )
    language: str = later(
        "", description="language of the project's own prompts, such as de or German; empty takes check.language"
    )
    lengths: dict[str, list[tuple[int, float]]] = later(
        {},
        description="target lengths by kind, for prompts with {words} such as sized: pairs of words and weight, of "
        "which caption.seed draws one for each sample, e.g. {dense = [[30, 1], [80, 2]]} [words]",
    )

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        check_lengths(self.lengths, {k.kind: k.max_tokens for k in self.kinds})
        return self

    def asking_in(self, language: str) -> Self:
        """With the project's prompts in ``self.language``, else in this language; a prompt that names one keeps it."""
        chosen = (self.language or language).strip()
        if chosen.lower() in ("", "en"):
            return self
        named = {k.prompt: f"{k.prompt}:{chosen}" for k in self.kinds if k.prompt.isidentifier()}
        kinds = [k.model_copy(update={"prompt": named.get(k.prompt, k.prompt)}) for k in self.kinds]
        return self.model_copy(update={"kinds": kinds})


class ReleaseForm(Part):
    """What a release looks like, whatever is in it."""

    shard_size: int = Field(1000, ge=1, description="samples a release shard [samples]")
    val: float = Field(0.01, ge=0, lt=1, description="share of samples in val [0..1]")
    test: float = Field(0.01, ge=0, lt=1, description="share of samples in test [0..1]")
    seed: int = Field(0, ge=0, description="seed of the shuffle")
    name: str = Field("LAION-refined", min_length=1, description="the dataset's name on its card")
    license: str = Field("other", description="the release's licence, as the hub spells it")
    license_note: str = Field(
        "Annotations are ours to license; images belong to their owners.", description="licence note of the card"
    )
    images: bool = Field(True, description="put pixels into the release; false writes annotations and urls only")


def check_splits(export: ReleaseForm) -> None:
    """Checks that the splits leave samples to train on. Raises ``ValueError``."""
    if export.val + export.test >= 1:
        raise ValueError(f"export.val + export.test = {export.val + export.test:g} leaves no train split; lower one")


def check_servers(name: str, chat: Chat) -> None:
    """Checks that the table ``name`` names its servers, or how to start one. Raises ``ValueError``."""
    if chat.backend == "server" and not chat.endpoints and not chat.serve.python:
        raise ValueError(
            f'{name}.backend is "server" but {name}.endpoints is empty: name at least one base URL, or let '
            f"{name}.serve.python start a server"
        )
    if chat.serve.python and (chat.endpoints or chat.backend != "server"):
        raise ValueError(
            f'{name}.serve.python starts a server, which wants {name}.backend "server" and no {name}.endpoints; '
            f"found {chat.backend!r} and {chat.endpoints}"
        )


class Run(Part):
    """When a run stops by itself."""

    stop_at_share: float = free(
        0.5,
        gt=0,
        le=1,
        description="share of its rows or replies that a stage may lose to one reason, counted from 200 on; a run that "
        "loses more stops and names the reason; only reasons that point at the run's network, servers, model or "
        "settings count; 1 never stops [0..1]",
    )
