"""The command ``lapidary``: each subcommand is a module that ``python -m`` runs as well.

Modules are imported only when their subcommand is asked for, so that a base installation can ask a root.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Sequence
from typing import NoReturn

from curation.core.invocation import started_as

COMMANDS: dict[str, tuple[str, str]] = {
    "refine": ("flows.refine_laion", "build a recaptioned dataset of web images from lists, tars or folders"),
    "anchor": ("flows.build_anchor", "build a news dataset with entities and subject weights"),
    "prompts": ("flows.dense_prompts", "build evaluation prompts with questions, and score images by them"),
    "expand": ("flows.expand", "build a dataset of large pictures with windows, local, global and imagined captions"),
    "dedupe": ("flows.dedupe", "find duplicates within and across data sets"),
    "ask": ("curation.catalog", "query a dataset root in SQL"),
    "export": ("flows.export", "write a release in the form that a trainer reads: kohya, SimpleTuner, datasets, …"),
    "publish": ("flows.publish", "send a release to the Hugging Face hub: private by default, resumed"),
    "report": ("flows.report", "show people what became of every row: a page in the root, or served over all rows"),
    "review": ("flows.review", "judge samples in a browser: keep, reject, edit captions, audit the release"),
    "status": ("flows.status", "tell how the run of a root is doing, from any terminal or machine"),
    "search": ("flows.search", "find images of a root by words, or by an image"),
    "what-if": ("flows.what_if", "tell what other thresholds would do to a root, from what is stored"),
    "redo": ("flows.redo", "have shards of a table done anew by the next run"),
    "takedown": ("flows.takedown", "take samples and their near duplicates out of a root for good"),
    "diff": ("flows.diff", "tell what two releases differ in, and make it the next version"),
    "demo": ("flows.demo", "refine a small demo web, as a first look at everything"),
}
# pip keeps the installed base, which may come from a clone, and reads from it what the extra needs.
_ADD = "pip install 'lapidary-curation[{extra}]'"
_NEEDS = "lapidary {name} needs {missing}, which is not installed. To add it to this installation: {command}"


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs a subcommand and ends the process with its exit code; 2 for a subcommand that is not known."""
    words = list(sys.argv[1:] if argv is None else argv)
    match words[:1]:
        case ["--version" | "-V"]:
            print(f"lapidary {version()}")
            sys.exit(0)
        case [] | ["--help" | "-h"]:
            print(_usage())
            sys.exit(0 if words else 2)
        case [name] if name in COMMANDS:
            _run(name, words[1:])
    print(f"lapidary: unknown command {words[0]!r}; expected one of {', '.join(COMMANDS)}", file=sys.stderr)
    sys.exit(2)


def version() -> str:
    """The version of the installed distribution."""
    return importlib.metadata.version("lapidary-curation")


def _run(name: str, words: list[str]) -> NoReturn:
    try:
        module = importlib.import_module(COMMANDS[name][0])
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("flows", "curation", "schemas"):
            raise
        extra = "curate,news" if name == "anchor" else "curate"
        print(_NEEDS.format(name=name, missing=error.name, command=_ADD.format(extra=extra)), file=sys.stderr)
        sys.exit(2)
    with started_as({path: f"lapidary {subcommand}" for subcommand, (path, _) in COMMANDS.items()}):
        code: int = module.main(words)
    if "prefect" in sys.modules:
        from flows.tasks import leave

        leave(code)
    sys.exit(code)


def _usage() -> str:
    lines = ["usage: lapidary COMMAND …   (lapidary COMMAND --help explains a command)", ""]
    lines += [f"  {name:<8} {about}" for name, (_, about) in COMMANDS.items()]
    return "\n".join([*lines, "", "  --version"])


if __name__ == "__main__":
    main()
