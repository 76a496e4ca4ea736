"""Prompts: Markdown files with a name and a version in their front matter.

    ---
    name: dense
    version: 1
    about: one line for people (optional)
    form: tags (optional: the reply is comma-separated tags; without it, the reply is prose)
    system: one line for the system turn (optional; some models have none)
    ---
    Describe the image … {alt_text} … {caption:dense}

``{alt_text}`` and ``{caption:KIND}`` are the placeholders of captions; ``{statement}`` and ``{question}`` are those of
the prompts by which a statement is verified or a question about the image asked, ``{any_caption}`` that of the prompt
by which a caption is taken apart, ``{brief}`` that of a prompt which asks for an evaluation prompt about it. All are
replaced by text from others, between tags (see ``curation.caption.model.untrusted``). ``{caption:part}`` stands for
the captions of all kinds ``part_0``, ``part_1`` … that a sample has, unless there is a kind called ``part``.
Other braces stay as they are, unless they look like a placeholder. ``{language}`` becomes the English name of the
language of the captions when the prompt is loaded, and ``{words}`` the target length that is drawn for a sample
(``caption.lengths``). ``{side}`` and ``{count}`` are those of the prompt by which captions are imagined.

``dense:de`` is the prompt ``dense`` in German: a language profile (``curation.caption.languages``) has its text.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from curation.caption.languages import code_of, profile
from curation.caption.model.untrusted import fence
from curation.core.errors import RecipeError
from curation.core.stage import setting

_FOLDER = Path(__file__).parent
_LIMIT = 64 * 1024
CAPTION_LIMIT = 4000
"""Characters of a caption that a prompt lets in."""
_STATEMENT_LIMIT = 4000
_BRIEF_LIMIT = 4000
_HEAD = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*\n(.*)\Z", re.S)
_KEY = re.compile(r"([a-z_]+)[ \t]*:[ \t]*(.*)")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*(?::[^{}\n]*)?)\}")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_KEYS = ("name", "version", "about", "system", "form", "image")
# Placeholders of the one text that a prompt of verification is about: its tag, and the characters that are let in.
_ABOUT = {
    "statement": ("statement", _STATEMENT_LIMIT),
    "question": ("question", _STATEMENT_LIMIT),
    "any_caption": ("caption", CAPTION_LIMIT),
}
_BRIEF, _WORDS, _LANGUAGE = "brief", "words", "{language}"
_ASKED = ("side", "count")  # what is asked for; words of our own, which need no tags
TAGS = "tags"  # the form of a reply that is comma-separated tags
_KIND = re.compile(r"caption:([a-z][a-z0-9_]{0,31})")
_NUMBER = re.compile(r"_[0-9]+$")  # of a kind that is one of a row


@dataclass(frozen=True)
class Prompt:
    """The content of a prompt file."""

    name: str
    version: int
    body: str
    system: str = ""
    # What the reply is checked as: ``TAGS``, or prose where empty. It changes no reply, and so no digest of one.
    form: str = setting("", digest=False)
    # Whether the image goes with it. Without, a model that reads text only will do.
    sees: bool = setting(True, digest=True, later=True)

    @property
    def label(self) -> str:
        """``name@version``, as the captions table has it."""
        return f"{self.name}@{self.version}"

    @property
    def sha(self) -> str:
        """SHA-256 of name, version and text, hex."""
        fields = [self.name, self.version, self.system, self.body]
        return hashlib.sha256(json.dumps(fields).encode()).hexdigest()

    @property
    def needs(self) -> tuple[str, ...]:
        """The kinds of caption that the prompt includes, in order of appearance."""
        found = (_KIND.fullmatch(p) for p in _PLACEHOLDER.findall(self.body))
        return tuple(dict.fromkeys(m.group(1) for m in found if m))

    @property
    def about(self) -> str:
        """What the prompt asks about: statement, question or any_caption; empty for a prompt that asks for a caption.

        Several are separated by blanks; no stage wants such a prompt.
        """
        found = set(_PLACEHOLDER.findall(self.body))
        return " ".join(name for name in _ABOUT if name in found)

    def must_be_about(self, what: str, key: str) -> Self:
        """The prompt, where it is about this and includes no caption. Raises ``RecipeError``, naming the ``key``."""
        if self.about != what or self.needs or self.asks_words or self.about_brief:
            raise RecipeError(f"{key} must have the placeholder {{{what}}}, and {{alt_text}} at most beside it")
        return self

    @property
    def about_statement(self) -> bool:
        """Whether the prompt asks about a statement."""
        return "statement" in self.about.split()

    @property
    def about_brief(self) -> bool:
        """Whether the prompt asks for a text about a brief."""
        return _BRIEF in _PLACEHOLDER.findall(self.body)

    @property
    def asks_beyond(self) -> bool:
        """Whether the prompt names the edge beyond which something is to be imagined."""
        return not set(_ASKED).isdisjoint(_PLACEHOLDER.findall(self.body))

    @property
    def asks_words(self) -> bool:
        """Whether the prompt asks for a number of words."""
        return _WORDS in _PLACEHOLDER.findall(self.body)

    def included(self, kinds: Iterable[str]) -> list[str]:
        """Those of these kinds whose captions the prompt includes, a numbered row of kinds in its order."""
        known = list(kinds)
        return [kind for needed in self.needs for kind in row_of(needed, known)]

    def render(
        self,
        alt_text: str,
        captions: Mapping[str, str],
        about: str = "",
        *,
        words: int | None = None,
        brief: str = "",
        asked: Mapping[str, str] | None = None,
    ) -> str:
        """The text of the user's turn; ``about`` is the statement, question or caption that the prompt is about, and
        ``asked`` holds the words for ``{side}`` and ``{count}``.

        Raises ``KeyError`` for a kind of caption that ``captions`` lacks and has no numbered row of, and for a prompt
        that asks for a number of words where none is given.
        """
        if words is None and self.asks_words:
            raise KeyError(_WORDS)

        def fill(match: re.Match[str]) -> str:
            if match.group(1) in _ABOUT:
                return fence(about, *_ABOUT[match.group(1)])
            if match.group(1) == _BRIEF:
                return fence(brief, _BRIEF, _BRIEF_LIMIT)
            if match.group(1) == _WORDS:
                return str(words)
            if match.group(1) in _ASKED:
                return (asked or {})[match.group(1)]
            kind = _KIND.fullmatch(match.group(1))
            if kind is None:
                return fence(alt_text)
            texts = [captions[k] for k in row_of(kind.group(1), captions) or kind.groups()]
            return "\n\n".join(fence(text, "caption", CAPTION_LIMIT) for text in texts)

        return _PLACEHOLDER.sub(fill, self.body)


def row_of(needed: str, kinds: Iterable[str]) -> list[str]:
    """What ``{caption:needed}`` stands for among these kinds: the one of that name, else its numbered row, if any."""
    known = list(kinds)
    if needed in known:
        return [needed]
    row = [kind for kind in known if _NUMBER.sub("", kind) == needed]
    return sorted(row, key=lambda kind: int(kind.rpartition("_")[2]))


def names() -> list[str]:
    """The names of the prompts that come with the project."""
    return sorted(p.stem for p in _FOLDER.glob("*.md") if p.name != "README.md")


def load(name: str) -> Prompt:
    """A prompt that comes with the project, by name, or any prompt file, by path.

    A name may be followed by a colon and a language, such as ``short:de``: the prompt is in that language where its
    profile has it, and in English otherwise. Raises ``RecipeError``, in one line, for a file that is missing,
    unreadable or not a prompt, and for a language that is not known.
    """
    first, colon, language = name.rpartition(":")
    if colon and not Path(name).expanduser().is_file() and _NAME.fullmatch(first):
        return _in_language(_read(first), language)
    return _spoken(_read(name), "en")


def _read(name: str) -> Prompt:
    """The prompt as its file has it."""
    own = name in names()
    path = _FOLDER / f"{name}.md" if own else Path(name).expanduser()
    if not own and not path.is_file():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise RecipeError(f"prompt {name!r} is neither one of {names()} nor a file{hint}")
    try:
        data = path.read_bytes()
        text = data[: _LIMIT + 1].decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"prompt {name!r} cannot be read as UTF-8 text: {error}") from error
    if len(data) > _LIMIT:
        raise RecipeError(f"prompt {name!r} has {len(data)} bytes; at most {_LIMIT} were expected")
    return parse(text, name)


def _in_language(prompt: Prompt, language: str) -> Prompt:
    """Raises ``RecipeError`` for a language that is not known."""
    code = code_of(language)
    text = profile(code).prompts.get(prompt.name) if prompt.name in names() else None
    if text is None:
        return _spoken(prompt, code)
    return replace(prompt, name=f"{prompt.name}-{code}", body=text.strip())


def _spoken(prompt: Prompt, code: str) -> Prompt:
    """The prompt with the name of a language where it asks for one; other prompts stay as they are."""
    if _LANGUAGE not in prompt.body:
        return prompt
    name = prompt.name if code == "en" else f"{prompt.name}-{code}"
    return replace(prompt, name=name, body=prompt.body.replace(_LANGUAGE, profile(code).names[0]))


def parse(text: str, source: str) -> Prompt:
    """Parse the text of a prompt file. Raises ``RecipeError`` naming ``source``."""
    parts = _HEAD.match(text)
    if parts is None:
        raise RecipeError(
            f"prompt {source!r} has no front matter; begin the file with '---', 'name: …', 'version: …', '---'"
        )
    head: dict[str, str] = {}
    for line in filter(str.strip, parts.group(1).splitlines()):
        pair = _KEY.fullmatch(line.strip())
        if pair is None or pair.group(1) not in _KEYS or pair.group(1) in head:
            raise RecipeError(f"prompt {source!r}: front matter has {line!r}; expected {', '.join(_KEYS)}, each once")
        head[pair.group(1)] = pair.group(2).strip()
    name, version, body = head.get("name", ""), head.get("version", ""), parts.group(2).strip()
    if not _NAME.fullmatch(name):
        raise RecipeError(f"prompt {source!r}: name is {name!r}; expected lower-case letters, digits, - and _")
    if not (version.isascii() and version.isdigit() and int(version) > 0):
        raise RecipeError(f"prompt {source!r}: version is {version!r}; expected a whole number from 1")
    if (form := head.get("form", "")) not in ("", TAGS):
        raise RecipeError(f"prompt {source!r}: form is {form!r}; expected {TAGS!r}, or no form for prose")
    if (image := head.get("image", "yes")) not in ("yes", "no"):
        raise RecipeError(f"prompt {source!r}: image is {image!r}; expected yes or no")
    if not body:
        raise RecipeError(f"prompt {source!r} has no text below its front matter")
    for placeholder in _PLACEHOLDER.findall(body):
        known = ("alt_text", "language", *_ABOUT, _BRIEF, _WORDS, *_ASKED)
        if placeholder not in known and not _KIND.fullmatch(placeholder):
            raise RecipeError(
                f"prompt {source!r} has {{{placeholder}}}; only {{alt_text}}, {{caption:KIND}}, {{language}}, "
                "{words} and, to verify, {statement}, {question} and {any_caption}, of evaluation prompts, {brief}, "
                "and to imagine, {side} and {count} are filled in"
            )
    prompt = Prompt(name, int(version), body, head.get("system", ""), form, image == "yes")
    if not prompt.sees and not prompt.needs and "{alt_text}" not in body:
        raise RecipeError(
            f"prompt {source!r} has image: no and neither {{alt_text}} nor {{caption:KIND}}, so that all images would "
            "get the same reply; add one, or let it see the image"
        )
    return prompt
