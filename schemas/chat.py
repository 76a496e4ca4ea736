"""Recipe parts of language models: which one answers, how it samples, who serves it, and what captions it writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from schemas.part import Part, Switch, free, later

Backend = Literal["transformers", "server", "scripted"]
# What belongs to a model, and what to the servers behind which one stands: it is not passed on to another one.
_OF_A_MODEL = ("revision", "price_in", "price_out", "price_hour")
_OF_SERVERS = ("endpoints", "serve", "api_key_env", "ca_bundle", "parameters")


class Serve(Part):
    """A vLLM server of our own: one for each worker, started when it is needed and ended with it."""

    switches: ClassVar[tuple[Switch, ...]] = (Switch(("python",), ("port", "arguments", "start_timeout", "restarts")),)

    python: str = free(
        "", description="interpreter of vLLM's own environment, e.g. .venv-vllm/bin/python; empty starts no server"
    )
    port: int = free(0, ge=0, le=65535, description="port on 127.0.0.1; 0 takes a free one")
    tensor_parallel: int = free(1, ge=1, description="GPUs of one server [GPUs]")
    arguments: list[str] = free([], description="more arguments of vllm serve, e.g. --max-model-len=4096")
    start_timeout: float = free(1200.0, gt=0, description="maximum wait until the server answers [seconds]")
    restarts: int = free(3, ge=0, description="maximum restarts of a server that died [times]")


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
        for field, value in self.add.items():
            try:
                json.dumps(value, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"parameters.add.{field} is {value!r}, which a request in JSON cannot say; expected texts, finite "
                    "numbers, true or false, lists and tables of these"
                ) from error
        return self


class CaptionKind(Part):
    """One kind of caption. What it leaves out of model and servers is as in ``caption``."""

    aside: ClassVar[bool] = False  # whether its captions only serve those of other kinds, and none is released

    kind: str = Field(description="its name, e.g. dense", pattern=r"^[a-z][a-z0-9_]{0,31}$")
    prompt: str = Field(description="name of a prompt, such as dense or short:de, or path of a prompt file")
    max_tokens: int = Field(256, ge=1, le=8192, description="most reply tokens [tokens]")
    model: str | None = later(
        None, min_length=1, description="the model that is asked for this kind; none asks that of caption"
    )
    revision: str | None = later(
        None, description="revision of that model; none is main, or caption's of its own model"
    )
    backend: Backend | None = later(None, description="as in caption, for this kind; none takes caption's")
    endpoints: list[str] | None = free(
        None,
        description="base URLs of this kind's servers; none takes caption's endpoints, serve, api_key_env, ca_bundle "
        "and parameters, of which a kind with endpoints, serve or backend of its own has none",
    )
    serve: Serve | None = free(None, description="a vLLM server that is started for this kind's model, as in caption")
    api_key_env: str | None = free(None, description="as in caption, for this kind's servers")
    ca_bundle: str | None = free(None, description="as in caption, for this kind's servers")
    parameters: Parameters | None = later(None, description="as in caption, for this kind's servers")
    image_size: int | None = later(None, ge=0, description="as in caption, for this kind [pixels]")
    price_in: float | None = free(
        None, ge=0, description="as in caption, for this kind; none is caption's for its own model, else 0 [currency]"
    )
    price_out: float | None = free(None, ge=0, description="as in caption, with the default of price_in [currency]")
    price_hour: float | None = free(None, ge=0, description="as in caption, with the default of price_in [currency]")

    @model_serializer(mode="wrap")
    def _named(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What it leaves out is not written: TOML has no null, and older roots have none of these keys."""
        return {key: value for key, value in serialize(self).items() if value is not None}

    @property
    def table(self) -> str:
        """The part of the recipe that says which model is asked for it and what that costs."""
        return f"caption.kinds[{self.kind}]" if self.own() else "caption"

    def own(self) -> dict[str, Any]:
        """What it says itself of model and servers."""
        keys = type(self).model_fields.keys() - {"kind", "prompt", "max_tokens"}
        return {key: value for key in sorted(keys) if (value := getattr(self, key)) is not None}


class Chat(Part):
    """Which language model answers, and how it samples its replies."""

    on_card: ClassVar[bool] = False
    part: ClassVar[str] = "llm"  # the recipe's table, for messages
    switches: ClassVar[tuple[Switch, ...]] = (Switch(("backend",), _OF_SERVERS, ("server",)),)

    backend: Backend = Field(
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
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="type of in-process weights; auto avoids bfloat16 on a CPU without it"
    )
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

    def asked_of(self, kind: CaptionKind) -> Self:
        """The same with what this kind says itself of its model and servers.

        A key of another model, such as its revision, or of other servers, such as their API key, is not passed on.
        """
        own = kind.own()
        left_out: tuple[str, ...] = ()
        if own.get("model", self.model) != self.model:
            left_out += _OF_A_MODEL
        if own.get("backend", self.backend) != self.backend or own.keys() & {"endpoints", "serve"}:
            left_out += _OF_SERVERS
        fields = type(self).model_fields
        return self.model_copy(update={key: fields[key].default for key in left_out} | own)

    def asking_in(self, language: str) -> Self:
        """With the project's prompts in ``self.language``, else in this language; a prompt that names one keeps it."""
        chosen = (self.language or language).strip()
        if chosen.lower() in ("", "en"):
            return self
        named = {k.prompt: f"{k.prompt}:{chosen}" for k in self.kinds if k.prompt.isidentifier()}
        kinds = [k.model_copy(update={"prompt": named.get(k.prompt, k.prompt)}) for k in self.kinds]
        return self.model_copy(update={"kinds": kinds})


def check_captioners(caption: Captioning) -> None:
    """Checks that every kind names its servers, or how to start one. Raises ``ValueError``."""
    ports: dict[int, Captioning] = {}
    for kind in caption.kinds:
        asked = caption.asked_of(kind)
        if kind.endpoints and asked.backend != "server":
            raise ValueError(f'{kind.table} names endpoints, which wants its backend "server"; found {asked.backend!r}')
        check_servers(kind.table, asked)
        if asked.serve.python and (port := asked.serve.port):
            first = ports.setdefault(port, asked)
            if (first.model, first.revision, first.serve) != (asked.model, asked.revision, asked.serve):
                raise ValueError(
                    f"caption.kinds start two servers at port {port}, of {first.model!r} and of {asked.model!r}; give "
                    "each its own serve.port, or 0 for a free one"
                )


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


def check_lengths(lengths: Mapping[str, Sequence[tuple[int, float]]], max_tokens: Mapping[str, int]) -> None:
    """Raises ``ValueError`` for a kind that is not in ``max_tokens``, and for impossible lengths."""
    for kind, pairs in lengths.items():
        if kind not in max_tokens:
            raise ValueError(f"caption.lengths names {kind!r}, which is not among caption.kinds {list(max_tokens)}")
        sound = all(words > 0 and weight >= 0 for words, weight in pairs)
        if not sound or not any(weight for _, weight in pairs):
            raise ValueError(
                f"caption.lengths.{kind} is {pairs}; expected pairs of words and weight, such as [[30, 1], [80, 2]]: "
                "at least one word, weights of 0 or more, and a positive sum"
            )
        if (most := max(words for words, _ in pairs)) > max_tokens[kind]:
            raise ValueError(
                f"caption.lengths.{kind} asks for {most} words, but max_tokens of the kind is {max_tokens[kind]}, and "
                "a word takes a token at least; raise max_tokens in caption.kinds"
            )
