"""The client of OpenAI-compatible servers such as vLLM. Images travel inside the request, never as links.

The client runs on an event loop of its own in a thread; the caller's thread prepares requests and takes
replies, so that preparing an image never holds up the ones in flight.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar

import httpx2

from curation.caption.model.chat import (
    ChatReply,
    ChatRequest,
    ModelIdentity,
    Sampling,
    accept,
    corrected,
    failure,
    together,
)
from curation.caption.model.completions import Filtered, Unusable
from curation.caption.model.connection import client_of
from curation.caption.model.endpoints import Endpoint, Endpoints
from curation.caption.model.homes import PictureKeys
from curation.caption.model.openai_protocol import NO_PARAMETERS, ask, cause_message, encode, never_connected, served
from curation.caption.model.retrying import ABOUT_THE_SAMPLE, GATEWAY, Refused, Tried, backoff, jitter
from schemas.chat import Parameters
from schemas.reasons import Reason

T = TypeVar("T")
_LOOK_SECONDS = 10.0
_WORD = ChatRequest("look", "Write the word hello.", sampling=Sampling(max_tokens=1))


class ServerModel:
    """A model behind one or more servers that all serve it. What is asked about one picture is asked of one server.

    Several threads may call ``complete`` at once. The call that began first gets places first, the others the rest.
    What becomes of a request that fails:

    - Passing failures (408, 5xx, resets, time-outs, answers that are no chat completion, aborted replies) are tried
      again up to ``retries`` times after growing, jittered waits; then the reason is ``MODEL_ERROR``, no verdict.
    - A reply whose content cannot be used is asked for once more (see ``corrected``); then it is ``INVALID_REPLY``.
    - A refusal of this request (400, 413, 415, 422) or of its content (``CONTENT_FILTER``) is not tried again.
    - Failures of a server that is down, is busy (429) or answers no request (401, 402, 404 and the like) do not count
      against the request, unless that server answers others meanwhile: then they count as passing failures, or the
      request waits for as long as those would last. Servers that are all too busy to answer are waited for as long.
    """

    batch = None

    def __init__(
        self,
        endpoints: Sequence[str],
        identity: ModelIdentity,
        *,
        api_key: str = "",
        concurrency: int = 32,
        timeout: float = 120.0,
        retries: int = 4,
        patience: float | None = None,
        gone: Callable[[], str | None] = lambda: None,
        parameters: Parameters = NO_PARAMETERS,
        ca_bundle: str = "",
    ) -> None:
        """``concurrency`` requests are in flight at each endpoint. ``timeout`` is the deadline of one try, in seconds.
        After ``patience`` seconds (default: ``timeout``) without any endpoint, all count as gone. ``gone`` returns
        why waiting is useless, where that is known. ``parameters`` and ``ca_bundle`` are those of the recipe.
        """
        self.identity = identity
        self._timeout = timeout
        self._retries = retries
        self._patience = timeout if patience is None else patience
        self._busy_patience = timeout * (retries + 1)
        self._seen: ChatRequest | None = None
        self._gone = gone
        self._parameters = parameters
        self._places = concurrency * len(endpoints)
        self._turns = count()
        self._all = [Endpoint(url, client_of(url, api_key, timeout, ca_bundle)) for url in endpoints]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="model-server-client", daemon=True)
        self._thread.start()
        self._endpoints: Endpoints = self._run(self._open(concurrency))

    def complete(self, requests: Iterable[ChatRequest]) -> Iterator[ChatReply]:
        replies: queue.SimpleQueue[concurrent.futures.Future[ChatReply]] = queue.SimpleQueue()
        out: set[concurrent.futures.Future[ChatReply]] = set()
        source, turn, picture_of = iter(requests), next(self._turns), PictureKeys()
        # As many prepared requests wait as are in flight: a server that finishes a whole batch at once gets
        # the next one without waiting for its images.
        ahead = 2 * self._places
        more = True
        try:
            while True:
                while more and len(out) < ahead:
                    request = next(source, None)
                    if request is None:
                        more = False
                    else:
                        # Encoded here, not when a place frees: the loop that talks to servers must not wait.
                        body = self._encode(request)
                        picture = picture_of(request.image) if len(self._all) > 1 else ""
                        answer = self._answer(turn, request, body, picture)
                        future = asyncio.run_coroutine_threadsafe(answer, self._loop)
                        out.add(future)
                        future.add_done_callback(replies.put)
                if not out:
                    return
                done = replies.get()
                out.discard(done)
                try:
                    reply = done.result()
                except Exception:
                    # The replies that have come meanwhile are paid for.
                    yield from [f.result() for f in out if f.done() and not f.cancelled() and f.exception() is None]
                    raise
                yield reply
        finally:
            for future in out:
                future.cancel()

    def _encode(self, request: ChatRequest) -> bytes:
        return encode(self.identity.name, request, self._parameters)

    def close(self) -> None:
        """Drops what is in flight and closes the connections. A second call does nothing."""
        if self._loop.is_closed():
            return
        self._run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def _run(self, job: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(job, self._loop).result()

    async def _open(self, concurrency: int) -> Endpoints:
        return Endpoints(
            self._all, concurrency, self._patience, self._alive, self._gone, busy_patience=self._busy_patience
        )

    async def _shut(self) -> None:
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for endpoint in self._all:
            await endpoint.client.close()

    async def _answer(self, turn: int, request: ChatRequest, body: bytes, picture: str) -> ChatReply:
        started: float | None = None
        seconds = 0.0
        tries = invalid = turned_away = 0
        refusals: dict[str, float] = {}
        unusable: ChatReply | None = None
        asked = request
        with self._endpoints.asking(picture):
            while True:
                endpoint = await self._endpoints.take(turn, picture)
                taken = self._endpoints.now()
                started = taken if started is None else started
                try:
                    tried = await self._try(asked, body, endpoint, refusals)
                finally:
                    self._endpoints.give_back(endpoint)
                # Waiting for a place is no work of the server's: only what the tries took counts.
                seconds += self._endpoints.now() - taken
                tries += tried.blame
                invalid += tried.reply.reason is Reason.INVALID_REPLY
                turned_away += tried.busy
                # A server that is busy is obeyed for as long as its other failures would have lasted.
                late = tried.busy and self._endpoints.now() - started > self._busy_patience
                if late:
                    self._endpoints.give_up_if_silent()
                if not tried.again or tries > self._retries or invalid > 1 or late:
                    reply = tried.reply
                    if unusable is not None:
                        # Where a server refuses the correction, the reply was unusable and the request not refused.
                        refused = reply.reason is Reason.MODEL_REFUSED_REQUEST
                        reply = unusable if refused else together(unusable, reply)
                    return replace(reply, seconds=round(seconds, 3))
                if tried.reply.said is not None:
                    unusable = tried.reply
                    if request.reply_type is not None or request.yes_no:
                        asked = corrected(request, tried.reply)
                        body = self._encode(asked)
                elif not endpoint.out:
                    picture = ""  # another server may do better
                if tried.busy:
                    await asyncio.sleep(jitter(tried.wait) if tried.wait else backoff(turned_away))
                elif (tried.blame or not endpoint.out) and not invalid:
                    await asyncio.sleep(backoff(max(1, tries)))

    async def _try(self, request: ChatRequest, body: bytes, endpoint: Endpoint, refusals: dict[str, float]) -> Tried:
        sent = self._endpoints.now()
        try:
            async with asyncio.timeout(self._timeout):
                reply = await ask(endpoint.client, request, body)
            self._endpoints.replied(endpoint, sent)
            self._seen = request
            accepted = accept(request, reply)
            return Tried(accepted, again=accepted.reason is not None)
        except Filtered as error:
            self._endpoints.replied(endpoint, sent)
            return Tried(failure(request, Reason.CONTENT_FILTER, str(error)))
        except Unusable as error:
            self._endpoints.replied(endpoint, sent)
            reason = Reason.MODEL_ERROR if error.transient else Reason.INVALID_REPLY
            return Tried(failure(request, reason, str(error)), again=not error.thought)
        except Refused as error:
            return self._refused(request, endpoint, error, sent, refusals)
        except (httpx2.HTTPError, TimeoutError, OSError) as error:
            late = isinstance(error, TimeoutError)
            cause = f"no reply within {self._timeout:g} s" if late else cause_message(error)
            unseen = never_connected(error)
            out = self._endpoints.failed(endpoint, cause, unreachable=unseen)
            # Only a server that was never reached clears the request: it may be what the server dies of.
            return Tried(failure(request, Reason.MODEL_ERROR, cause), again=True, blame=not (out and unseen))

    def _refused(
        self, request: ChatRequest, endpoint: Endpoint, error: Refused, sent: float, refusals: dict[str, float]
    ) -> Tried:
        """``refusals``: when each server last answered this request with a refusal that is meant for all."""
        text = error.text
        unserved = failure(request, Reason.MODEL_ERROR, text)
        match error.fault:
            case _ if error.filtered:
                self._endpoints.replied(endpoint, sent)
                return Tried(failure(request, Reason.CONTENT_FILTER, text))
            case "busy":
                if error.wait:
                    self._endpoints.asked_to_wait(endpoint, text, error.wait)
                else:
                    self._endpoints.turned_away(endpoint, text)
                return Tried(unserved, again=True, blame=False, busy=True, wait=error.wait)
            case "unwell":
                out = self._endpoints.failed(endpoint, text, unreachable=False)
                return Tried(unserved, again=True, blame=not (out and error.status in GATEWAY))
            case "request":
                self._endpoints.replied(endpoint, sent)
                return Tried(failure(request, Reason.MODEL_REFUSED_REQUEST, text))
            case "server":
                last = refusals.get(endpoint.url)
                refusals[endpoint.url] = self._endpoints.now()
                # It has answered what was sent after it had refused this one.
                blame = last is not None and endpoint.answered > last
                if not blame:
                    self._endpoints.refuses_all(endpoint, text, sent, again=last is not None)
                about = Reason.MODEL_REFUSED_REQUEST if error.status in ABOUT_THE_SAMPLE else Reason.MODEL_ERROR
                return Tried(failure(request, about, text), again=True, blame=blame)

    async def _alive(self, endpoint: Endpoint) -> bool:
        """Whether a server that was out answers again; otherwise ``endpoint.error`` says why not."""
        refuses = endpoint.refuses
        try:
            async with asyncio.timeout(self._timeout if refuses else _LOOK_SECONDS):
                await (self._say_a_word(endpoint) if refuses else served(endpoint.client))
        except (Refused, httpx2.HTTPError, Unusable, TimeoutError, OSError) as error:
            endpoint.error = error.text if isinstance(error, Refused) else cause_message(error)
            return False
        return True

    async def _say_a_word(self, endpoint: Endpoint) -> None:
        """Asks for one token: a list of models may be open to all, so it does not show that replies are given again.

        The request holds the latest image that was answered, if any, because some models need one. A server that
        fails at the word itself still computes.
        """
        seen = self._seen
        word = _WORD if seen is None else replace(_WORD, image=seen.image)
        sent = self._endpoints.now()
        try:
            await ask(endpoint.client, word, self._encode(word))
        except Filtered:
            pass
        except Unusable as error:
            if error.transient:
                raise
        except Refused as error:
            if error.status in GATEWAY or error.fault in ("busy", "server"):
                raise
        self._endpoints.replied(endpoint, sent)
