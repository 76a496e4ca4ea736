"""Recipe parts of language models: which one answers, how it samples, who serves it, and what captions it writes."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from schemas.lengths import check_lengths
from schemas.part import Part, free, later


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
