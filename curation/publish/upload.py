"""Sends a release to the hub, through ``huggingface_hub``: large files first, then the commits that show them."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from curation.core.errors import LapidaryError, StoreError
from curation.core.store import Store, one_line
from curation.publish.files import File
from curation.publish.plan import Plan, There
from curation.release.versions import RELEASE

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi

_TYPE = "dataset"
_TOGETHER = 16  # files that are asked for and sent in one group
_COMMIT = 500  # files of one commit
_SMALL = 1 << 20  # bytes of a file that is sent from memory, where the root is no folder
_MESSAGE = "Release by lapidary"
_RETRIES = "huggingface_hub.utils._http"  # who logs each request that is tried again
_SECONDS = 10.0  # for an answer
_WAITS = (2.0, 5.0)  # seconds from one try to the next
_PASSING = (408, 429)  # statuses that another try may not meet again, beside those of servers

Told = Callable[[int, int], None]


class HubError(LapidaryError):
    """The hub does not do what is asked, or cannot be reached."""


@dataclass(frozen=True)
class Repository:
    """A dataset's repository on the hub. The token is the library's own: of the environment, or of its login."""

    name: str

    @property
    def api(self) -> HfApi:
        from huggingface_hub import HfApi

        return HfApi(library_name="lapidary")

    def listing(
        self, say: Callable[[str], None] = lambda line: None, *, tries: int = 1 + len(_WAITS)
    ) -> dict[str, There] | None:
        """The repository's files by name; None where there is no such repository. Raises ``HubError``.

        A hub that does not answer is asked ``tries`` times; ``say`` hears of each before it begins.
        """
        from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError
        from huggingface_hub.hf_api import RepoFile

        with _said(f"cannot list {self.name}"), _no_word_of_retries():
            try:
                self._reach(say, tries)
                tree = list(self.api.list_repo_tree(self.name, recursive=True, repo_type=_TYPE))
            except RepositoryNotFoundError:
                return None
            except EntryNotFoundError:  # a repository without a commit
                return {}
            return {
                f.path: There(f.size, f.blob_id, f.lfs.sha256 if f.lfs else None)
                for f in tree
                if isinstance(f, RepoFile)
            }

    def _reach(self, say: Callable[[str], None], tries: int) -> None:
        """Asks for the repository until the hub answers; raises what the library does when it has not.

        The library itself would ask for a listing six times, wait for each as long as the system does, and say nothing.
        """
        say(f"asking {hub_name()} what {self.name} holds")
        for number in range(1, tries + 1):
            try:
                self.api.dataset_info(self.name, timeout=_SECONDS)
                return
            except Exception as error:
                if number == tries or not _passes(error):
                    raise
            wait = _WAITS[min(number, len(_WAITS)) - 1]
            say(f"{hub_name()} does not answer; it is asked again in {wait:.0f} s ({number + 1} of {tries})")
            time.sleep(wait)

    def create(self, *, private: bool) -> str:
        """Makes the repository unless it is there; its address. Raises ``HubError``."""
        with _said(f"cannot make the repository {self.name}"):
            return str(self.api.create_repo(self.name, repo_type=_TYPE, private=private, exist_ok=True))

    def send(self, store: Store, plan: Plan, told: Told = lambda done, all_: None) -> None:
        """Sends what the plan names, and removes what it says. ``told`` hears how many of how many bytes are done.

        Killed anywhere, the same call sends what has not arrived. Raises ``HubError``, and ``StoreError`` for a file
        that is not what its sums say.
        """
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()  # a bar for each file says less than ``told``
        done = 0
        commits = list(_groups(plan.send, _COMMIT)) or ([[]] if plan.remove else [])
        for number, files in enumerate(commits):
            added: list[CommitOperationAdd] = []
            with ExitStack() as stack:
                for group in _groups(files, _TOGETHER):
                    added += self._sent(store, group, stack)
                    done += sum(file.size for file in group)
                    told(done, plan.bytes)
                self._commit(added, plan.remove if number == len(commits) - 1 else ())

    def _sent(self, store: Store, files: Sequence[File], stack: ExitStack) -> list[CommitOperationAdd]:
        """Sends the large ones of these files; what shows them is still to be committed."""
        with ExitStack() as group:
            added = [_addition(store, file, group, stack) for file in files]
            with _said(f"cannot send {files[0].name} and the {len(files) - 1} files behind it to {self.name}"):
                # Those that are not large are sent with the commit, and have to be kept until then.
                self.api.preupload_lfs_files(self.name, added, repo_type=_TYPE, free_memory=True)
        return added

    def _commit(self, added: Sequence[CommitOperationAdd], remove: Sequence[str]) -> None:
        from huggingface_hub import CommitOperationDelete

        deleted = [CommitOperationDelete(name, is_folder=False) for name in remove]
        with _said(f"cannot commit to {self.name}"):
            self.api.create_commit(self.name, [*added, *deleted], commit_message=_MESSAGE, repo_type=_TYPE)


def _groups(files: Sequence[File], most: int) -> Iterator[list[File]]:
    left = iter(files)
    while group := list(islice(left, most)):
        yield group


def _addition(store: Store, file: File, group: ExitStack, stack: ExitStack) -> CommitOperationAdd:
    """A file as the library takes it, after a look whether it is what the sums say."""
    from huggingface_hub import CommitOperationAdd

    name = RELEASE + file.name
    content: str | bytes
    if store.is_local:
        content = store.path(name)
    elif file.size <= _SMALL:
        content = store.read(name)
    else:
        # The hub may take a file of this size with the commit, as it does with texts: only tars are surely large.
        keeper = group if file.name.endswith(".tar") else stack
        folder = keeper.enter_context(tempfile.TemporaryDirectory(prefix="lapidary-"))
        content = str(Path(folder) / "file")
        store.filesystem.get_file(store.path(name), content)
    try:
        made = CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=content)
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {store.path(name)}: {one_line(error)}") from error
    if file.sha256 is not None and made.upload_info.sha256.hex() != file.sha256:
        raise StoreError(f"{store.path(name)} is not what SHA256SUMS says; delete it, and run the root again")
    return made


def hub_name() -> str:
    """The host of the hub, without what an address may hold of a login."""
    from huggingface_hub import constants

    parts = urlsplit(constants.ENDPOINT)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def _passes(error: Exception) -> bool:
    """Whether another try may do better: the hub gave no answer, or said that it is busy or broken."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    status = _status(error)
    if status is not None:
        return status in _PASSING or status >= 500
    return isinstance(error, (_of_requests(), ConnectionError)) and not isinstance(error, OfflineModeIsEnabled)


def _status(error: BaseException) -> int | None:
    """The status that the hub answered with."""
    status: Any = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _of_requests() -> type[Exception]:
    """What requests fail with in the client that this version of the library uses: httpx, or httpx2."""
    from huggingface_hub.errors import HfHubHTTPError

    return cast("type[Exception]", HfHubHTTPError.__bases__[0])


@contextmanager
def _said(what: str) -> Iterator[None]:
    """Turns what the library raises into one line that holds no token."""
    from huggingface_hub import get_token

    of_requests = _of_requests()
    try:
        yield
    except LapidaryError:
        raise
    except (of_requests, OSError, RuntimeError, ValueError) as error:
        token = get_token()
        cause: BaseException = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
        text = one_line(cause)
        text = text.replace(token, "…") if token else text
        unreached = isinstance(cause, (of_requests, ConnectionError))
        raise HubError(f"{what}: {text}; {_remedy(cause, bool(token), unreached=unreached)}") from None


def _remedy(error: BaseException, has_token: bool, *, unreached: bool) -> str:
    status = _status(error)
    if status in (401, 403, 404):
        return (
            "the token may not write there: look at its rights, and at the name of the repository"
            if has_token
            else "there is no token: set HF_TOKEN, or log in with hf auth login"
        )
    if unreached and status is None:
        return (
            f"expected an answer of {hub_name()}: look at the network, HF_ENDPOINT and HF_HUB_OFFLINE; then "
            "the same command goes on where this ended"
        )
    return "the same command goes on where this ended"


@contextmanager
def _no_word_of_retries() -> Iterator[None]:
    """The library warns twice of each request that fails; the error at the end says why."""
    logger = logging.getLogger(_RETRIES)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
