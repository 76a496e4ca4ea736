"""Which column of a list holds what: as the user says, as a known dialect has it, or guessed from names and values."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from curation.core.errors import SourceError
from curation.sources.dialects import DIALECTS, NAMES, Layout, roles_of
from curation.sources.options import Options
from curation.sources.sidecars import IMAGE_EXTENSIONS

Kind = Literal["text", "texts", "number", "image", "other"]
_SOURCES = ("image", "url", "path")  # roles of which one must be there
_SHOWN = {"alt_text": "text"}  # roles that source.columns names otherwise
# Names with letters and digits only, in lower case.
_ADDRESSES = frozenset(
    re.findall(
        r"\w+",
        "imageurl imgurl pictureurl photourl photoimageurl imageuri imgsrc imagelink imglink contenturl mediaurl "
        "fileurl downloadurl urls imageurls uri src link href",
    )
)
_PICTURES = frozenset(re.findall(r"\w+", "image img picture photo pic jpg jpeg png webp imagebytes imagedata"))
_PATHS = frozenset(
    re.findall(
        r"\w+",
        "filename filepath file path imagepath imgpath imagefile imagefilename imgfilename imagename imgname localpath "
        "picturepath photopath filenames",
    )
)
_TEXTS = frozenset(
    re.findall(
        r"\w+",
        "alt imagealt imagealttext alttexts prompt prompts description imagedescription captions texts captiontext "
        "imagecaption title txt sentence sentences comment rawcaption longcaption shortcaption",
    )
)
_FILE = re.compile(rf"\S.*\.(?:{'|'.join(sorted(IMAGE_EXTENSIONS))})", re.IGNORECASE)
_IMAGE_URL = re.compile(rf"https?://\S+\.(?:{'|'.join(sorted(IMAGE_EXTENSIONS))})(?:[?#]\S*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column: its name as written, and the first texts in it. ``nested`` names lead through dots into objects."""

    name: str
    kind: Kind = "text"
    values: tuple[str, ...] = ()
    nested: bool = False

    @property
    def plain(self) -> str:
        """The last part of the name, with letters and digits only."""
        return re.sub(r"[^0-9a-z]+", "", (self.name.rpartition(".")[2] if self.nested else self.name).casefold())


def recognise(columns: Sequence[Column], where: str, options: Options) -> Layout:
    """The layout of a list with these columns.

    Raises ``SourceError`` where no column holds images, where several may hold the same, and for columns that the
    options name and that are not there.
    """
    top = [c.name for c in columns if not c.nested]
    named = _named(columns, where, options)
    present = {name.casefold() for name in top}
    fitting = next((d for d in DIALECTS if any(m <= present for m in d.marks)), None)
    found: defaultdict[str, list[str]] = defaultdict(list)
    guessed: list[str] = []
    if fitting is not None:
        written = {name.casefold(): name for name in reversed(top)}
        for role, column in (*fitting.columns, *((r, c) for r, c in roles_of(top) if r not in dict(fitting.columns))):
            if column.casefold() in written:
                found[role].append(written[column.casefold()])
        found |= {role: list(names) for role, names in named.items()}
        _refuse_twins({r: c for r, c in found.items() if r not in named}, top, where)
        if "image" not in named and len(pixels := _pixels(columns)) == 1:
            found["image"] = pixels
    else:
        found |= {role: list(names) for role, names in named.items()}
        for role, names in _guess(columns, named, where).items():
            found[role] = names
            if role not in {*roles_of_exact(names[0]), names[0].casefold()}:
                guessed.append(f"{_SHOWN.get(role, role)} from {names[0]!r}")
    roles = tuple((role, name) for role, names in found.items() for name in names)
    if not any(role in _SOURCES for role, _ in roles):
        raise _unknown(columns, where, named)
    used = {name for role, name in roles if role in ("url", "image")}
    if len(found["alt_text"]) == 1:
        # Of a list of texts only the first is read, so that whoever names the column keeps all of them.
        used.update({c.name for c in columns if c.kind != "texts"} & {*found["alt_text"]})
    kept = [
        *options.kept(c.name for c in columns if not c.nested and c.kind in ("text", "number")),
        *options.kept((c.name for c in columns if c.nested or c.kind in ("texts", "other")), nested=True),
    ]
    note = f"{where}: guessed: {', '.join(guessed)}; source.columns says otherwise" if guessed else None
    dialect = fitting.name if fitting is not None else _name_of(found)
    return Layout(dialect, roles, tuple(dict.fromkeys(k for k in kept if k not in used)), note)


def roles_of_exact(name: str) -> set[str]:
    """The roles whose columns have this name in the known dialects."""
    return {role for role, names in NAMES.items() if name.casefold() in names}


def _named(columns: Sequence[Column], where: str, options: Options) -> dict[str, tuple[str, ...]]:
    """The columns that the user names, as they are written."""
    written = {c.name.casefold(): c.name for c in reversed(columns)} | {c.name: c.name for c in columns}
    found: dict[str, tuple[str, ...]] = {}
    for role, names in options.columns:
        there = [written.get(n, written.get(n.casefold(), "")) for n in names if n]
        if "" in there:
            key = _SHOWN.get(role, role)
            missing = [n for n in names if n][there.index("")]
            raise SourceError(
                f"{where} has no column {missing!r}, which source.columns.{key} names. "
                f"Columns found: {_listed(columns)}"
            )
        found[role] = tuple(there)
    return found


def _guess(columns: Sequence[Column], named: dict[str, tuple[str, ...]], where: str) -> dict[str, list[str]]:
    """Columns by role, for the roles that the user does not name."""
    found: dict[str, list[str]] = {}
    taken = {name for names in named.values() for name in names}
    free = [c for c in columns if c.name not in taken]
    for role, names in NAMES.items():
        if role in named or role in ("url", "alt_text"):
            continue
        plain = [n.replace("_", "") for n in names]
        fitting = [c for n in plain for c in free if c.plain == n and not c.nested and c.kind in ("text", "number")]
        if fitting:
            found[role] = [fitting[0].name]
    unclear: list[str] = []
    of_images: set[str] = set()  # columns that hold images, or may
    if not {*_SOURCES} & {role for role, names in named.items() if names}:
        for role, look in (("image", _pixels), ("url", _addresses), ("path", _paths)):
            if role in named or (role == "path" and of_images):
                continue
            likely = look(free)
            of_images.update(likely)
            found[role] = _one(likely, role, unclear)
        if not of_images:
            raise _unknown(columns, where, named)
    if "alt_text" not in named:
        found["alt_text"] = _one(_texts([c for c in free if c.name not in of_images]), "alt_text", unclear)
    if unclear:
        raise SourceError(f"{where} has {'; and '.join(unclear)}")
    return {role: names for role, names in found.items() if names}


# Of each role the columns that are likely to hold it: one, or all that may be meant.


def _pixels(columns: Sequence[Column]) -> list[str]:
    images = _outer([c for c in columns if c.kind == "image"])
    usual = [c for c in images if c.plain in _PICTURES]
    return _names(usual if len(usual) == 1 else images)


def _addresses(columns: Sequence[Column]) -> list[str]:
    texts = [c for c in columns if c.kind in ("text", "texts")]
    exact = _outer([c for c in texts if c.plain == "url"])
    other = [c for c in texts if c.plain in _ADDRESSES or (c.plain in _PICTURES and any(map(_is_url, c.values)))]
    found = exact + _outer([c for c in other if not exact or not c.nested])
    if not found:
        found = [c for c in texts if c.values and all(_IMAGE_URL.fullmatch(v.strip()) for v in c.values)]
    if len(found) > 1:
        of_images = [c for c in found if c.values and all(_IMAGE_URL.fullmatch(v.strip()) for v in c.values)]
        found = of_images if len(of_images) == 1 else found
    return _names(found)


def _paths(columns: Sequence[Column]) -> list[str]:
    texts = [c for c in columns if c.kind in ("text", "texts")]
    likely = [c for c in texts if c.plain in _PATHS or c.plain in _PICTURES]
    found = _outer([c for c in likely if not c.values or any(map(_is_file, c.values))])
    found = found or [c for c in texts if c.values and all(map(_is_file, c.values))]
    return _names(found)


def _texts(columns: Sequence[Column]) -> list[str]:
    texts = [c for c in columns if c.kind in ("text", "texts")]
    for name in NAMES["alt_text"]:
        exact = _outer([c for c in texts if c.plain == name.replace("_", "")])
        if exact:
            return _names(exact)
    usual = _outer([c for c in texts if c.plain in _TEXTS])
    if usual:
        return _names(usual)
    prose = _outer([c for c in texts if c.kind == "texts" or any(_is_prose(v) for v in c.values)])
    return _names(prose)


def _names(columns: Sequence[Column]) -> list[str]:
    return [c.name for c in columns]


def _one(names: Sequence[str], role: str, unclear: list[str]) -> list[str]:
    """The only column of the role, or none; of several it is said in ``unclear`` how to name one."""
    if len(names) <= 1:
        return list(names)
    key = _SHOWN.get(role, role)
    first = "[" + ", ".join(f'"{n}"' for n in names[:3]) + "]"
    unclear.append(
        f"several columns that may hold the {key}: {', '.join(names[:10])}. Name one: --set "
        f"source.columns.{key}={names[0]}, or several of which the first that is not empty counts: "
        f"--set 'source.columns.{key}={first}'"
    )
    return []


def _outer(columns: Sequence[Column]) -> list[Column]:
    """Those that are not nested, where there are such."""
    return [c for c in columns if not c.nested] or list(columns)


def _refuse_twins(roles: dict[str, list[str]], names: Sequence[str], where: str) -> None:
    """Raises ``SourceError`` when two columns of one role differ only in case."""
    for role, columns in roles.items():
        for column in columns:
            twins = [n for n in names if n.casefold() == column.casefold()]
            if len(twins) > 1:
                key = _SHOWN.get(role, role)
                raise SourceError(
                    f"{where} has several columns for the {key}: {twins}; keep one of them, or name it: "
                    f"--set source.columns.{key}={twins[0]}"
                )


class NoImages(SourceError):
    """A list whose columns do not say which images it names; where others are named beside it, it is left out."""


def _unknown(columns: Sequence[Column], where: str, named: Mapping[str, Sequence[str]]) -> NoImages:
    """What is missing, the images first, with the settings that name all of it; ``named`` is what the user did."""
    known = "; ".join(f"{d.name} ({', '.join(sorted(d.marks[0]))})" for d in DIALECTS)
    addresses = _names([c for c in columns if _holds_addresses(c)])
    url = addresses[0] if len(addresses) == 1 else "NAME"
    say = f"--set source.columns.url={url} (or path for local files, image for embedded ones)"
    if "alt_text" not in named:
        texts = _texts([c for c in columns if c.name not in addresses])
        say += f" and --set source.columns.text={texts[0] if len(texts) == 1 else 'NAME'}"
    return NoImages(
        f"{where} is in no known dialect, and no column looks like the address, the path or the pixels of images. "
        f"Columns found: {_listed(columns)}. Say which holds what: {say}. Known dialects and the columns that mark "
        f"them, in any case: {known}"
    )


def _holds_addresses(column: Column) -> bool:
    """Whether half of the texts are addresses of something, or more."""
    return column.kind != "image" and 0 < len(column.values) <= 2 * sum(map(_is_url, column.values))


def _listed(columns: Iterable[Column]) -> str:
    names = [c.name if len(c.name) <= 60 else c.name[:57] + "..." for c in columns]
    return (", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "")) or "none"


def _name_of(found: dict[str, list[str]]) -> str:
    if found.get("image"):
        return "embedded images"
    if found.get("path") and not found.get("url"):
        return "paths"
    return "url-text" if found.get("alt_text") else "urls"


def _is_url(value: str) -> bool:
    return value.lstrip().lower().startswith(("http://", "https://"))


def _is_file(value: str) -> bool:
    return bool(_FILE.fullmatch(value.strip())) and not _is_url(value)


def _is_prose(value: str) -> bool:
    """Whether a value reads like a text of several words."""
    return len(value.split()) > 1 and not _is_url(value) and not _is_file(value)
