"""The remedy for each reason (a setting, or where to look), and warnings about a release that lost its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from curation.release.funnel import FunnelRow, kept, total
from curation.scores.installed import installed
from curation.scores.limits_stage import remedies
from schemas.reasons import Reason

MOST = 0.5  # of all source rows; more of them lost to one reason are worth a warning
LEAST_ROWS = 20  # of fewer source rows, the share that one reason took says little: two of three are soon lost
_SHOWN = 3
_LIST = "look at the source: its columns, paths and encoding"
_NETWORK = (
    "look at this machine's network, name server and download.proxy; raise download.timeout or lower download.threads; "
    "then fetch into a new --root"
)
_GONE = "these links are gone; take a newer list"
_REFUSED = "name download.user_agent and download.contact, lower download.per_host or set download.host_rate"
_DAMAGED = "look at what the hosts send: these are no whole pictures of a format that is read"
_MODEL = "look at the model's replies in the view captions; name another caption.model, or change its prompt"
_WORDING = "look at these captions in the view captions; change the prompt, or name another caption.model"
_DUPLICATES = "these are copies of kept images; dedupe.enabled = false keeps them, dedupe.confirmed_distance decides"
_EVALUATION = "these overlap with decontamination.sets; name fewer sets, or change decontamination.shared_words"

REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys((Reason.MALFORMED_ROW, Reason.NO_URL, Reason.NO_ALT_TEXT, Reason.BAD_URL), _LIST),
        Reason.FILE_MISSING: "look whether the source's folders and mounts are there and can be read",
        **dict.fromkeys(
            (
                *(Reason.BLOCKED_HOST, Reason.BLOCKED_URL, Reason.BLOCKED_WORDS, Reason.BLOCKED_SHA256),
                Reason.BLOCKED_PHASH,
            ),
            "their detail names the list and its line; take lines or lists out, or lower blocklists.phash_distance",
        ),
        Reason.CLAIMED_TOO_SMALL: "lower source.min_side",
        Reason.CLAIMED_ASPECT: "raise source.max_aspect; 0 is no limit",
        Reason.FEW_WORDS: "lower source.min_words (news: clean.min_words)",
        Reason.FEW_CHARACTERS: "lower source.min_characters",
        Reason.MANY_CHARACTERS: "raise source.max_characters; 0 is no limit",
        Reason.LANGUAGE: "change source.languages, or source.null_language for rows that name none",
        Reason.LOW_SIMILARITY: "lower source.min_similarity, or see source.null_similarity",
        Reason.LOW_AESTHETIC: "lower source.min_aesthetic, or see source.null_aesthetic",
        Reason.UNSAFE: "raise source.max_punsafe, or see source.null_punsafe",
        Reason.WATERMARK: "raise source.max_pwatermark, or see source.null_pwatermark",
        Reason.GONE_FROM_SOURCE: "the source no longer holds these rows; add them again, or name a new --root",
        Reason.TAKEN_DOWN: "these were taken down for good; tombstones.jsonl of the root says when and why",
        Reason.REPEATED_ROW: "the source has these rows several times; nothing is lost",
        Reason.SEMANTIC_DUPLICATE: 'raise embed.semantic.threshold, or set embed.semantic.policy to "record"',
        Reason.FREQUENT_CONCEPTS: 'raise balance.max_texts, or set balance.policy to "record"',
        Reason.NO_CONCEPT: "name a longer list in balance.entries, or set balance.unmatched = keep",
        Reason.NOT_IN_TOP: "raise export.top.share",
        Reason.REPEATED_TEXT: "raise source.max_text_repeats; 0 is no limit",
        **dict.fromkeys(
            (Reason.NAME_NOT_RESOLVED, Reason.CONNECTION_FAILED, Reason.TLS_FAILED, Reason.TIMEOUT), _NETWORK
        ),
        Reason.TRUNCATED: _DAMAGED,
        Reason.FORBIDDEN_ADDRESS: (
            "these hosts have private addresses: name those that you trust in download.allow_private_hosts, or correct "
            "the name server"
        ),
        **dict.fromkeys((Reason.HTTP_404, Reason.HTTP_410, Reason.TOO_MANY_REDIRECTS), _GONE),
        **dict.fromkeys(
            (Reason.HTTP_400, Reason.HTTP_401, Reason.HTTP_403, Reason.HTTP_429, Reason.HTTP_451, Reason.HTTP_4XX),
            _REFUSED,
        ),
        **dict.fromkeys((Reason.HTTP_5XX, Reason.HTTP_UNEXPECTED), _NETWORK),
        Reason.TOO_MANY_BYTES: "raise download.max_bytes",
        Reason.OPTED_OUT: "these images may not be used for training; take another list",
        Reason.ROBOTS_TXT: "these hosts forbid fetching, or exclude a robot of signals.agents; take another list",
        Reason.USE_RESTRICTED: "these images come under conditions; read the view signals_by_host, see signals.*",
        Reason.HASH_MISMATCH: "the images are not those of the list any more; download.hash_policy = record keeps them",
        Reason.EMPTY_BODY: _DAMAGED,
        Reason.NOT_AN_IMAGE: (
            "look at what one of these urls sends: a page in the place of an image comes from a proxy, a sign-in or a "
            "list that names pages"
        ),
        Reason.UNSUPPORTED_FORMAT: _DAMAGED,
        Reason.TOO_MANY_PIXELS: "raise download.max_pixels",
        Reason.UNDECODABLE: _DAMAGED,
        Reason.ANIMATED: "these are animations; take another list",
        Reason.TOO_SMALL: "lower download.min_side",
        Reason.ASPECT: "raise download.max_aspect; 0 is no limit",
        **dict.fromkeys((Reason.EXACT_DUPLICATE, Reason.NEAR_DUPLICATE), _DUPLICATES),
        **dict.fromkeys((Reason.NEAR_EVALUATION_ITEM, Reason.SHARED_TEXT), _EVALUATION),
        **dict.fromkeys((Reason.MODEL_ERROR, Reason.MODEL_REFUSED_REQUEST, Reason.INVALID_REPLY), _MODEL),
        Reason.CONTENT_FILTER: "the server filters what these show; use a server without a filter, or another list",
        **dict.fromkeys(
            (
                *(Reason.REFUSAL, Reason.REPETITION, Reason.PROMPT_ECHO, Reason.INSTRUCTION_ECHO, Reason.TASK_TALK),
                *(Reason.BOILERPLATE_OPENING, Reason.CONTROL_CHARACTERS, Reason.FILLER, Reason.MARKUP),
            ),
            _WORDING,
        ),
        Reason.NOT_TAGS: (
            "the prompt asks for tags, and the model writes prose: name another caption.model, or change the prompt; "
            "with check.repair = false, set it to true"
        ),
        Reason.CUT_OFF: "raise max_tokens of the kind in caption.kinds",
        Reason.TOO_SHORT: "lower check.min_words of the kind, or ask for more in its prompt",
        Reason.TOO_LONG: "raise check.max_words of the kind, or ask for less in its prompt",
        Reason.WRONG_LANGUAGE: "set check.language to the captions' language, or name it in the prompt",
        Reason.WRONG_SCRIPT: "add the captions' script to check.scripts, or name the language in the prompt",
        Reason.UNKNOWN_NAME: "set check.names = record, or add the names to check.allowed_names",
        Reason.FALSE_STATEMENT: "see verify.policy and verify.threshold, or name another caption.model",
        Reason.MANY_STATEMENTS: "ask for shorter captions in the prompt",
        Reason.REPEATED_CAPTION: (
            "look at the view caption_repeats: one text for many images is a fault of the model or its server; raise "
            "caption_repeats.max_images where the images are truly alike"
        ),
        Reason.REPEATED_OPENING: (
            "look at the view caption_repeats: change the prompt, or raise caption_repeats.max_opening_images"
        ),
        Reason.NOTHING_LEFT: "look at these captions: nothing but credits and markup stands in them",
        Reason.NO_SUBJECT: "see the keys of subjects in the recipe",
        **dict.fromkeys(
            (Reason.JUDGED_FALSE, Reason.JUDGED_INCOMPLETE, Reason.JUDGED_BADLY_WRITTEN),
            "edit these captions in lapidary review, or look there at what they share: another prompt or another "
            "caption.model may mend many at once",
        ),
        **dict.fromkeys(
            (Reason.JUDGED_POOR_IMAGE, Reason.JUDGED_OFF_TOPIC, Reason.JUDGED_UNSAFE, Reason.JUDGED_OTHERWISE),
            "people took these out; lapidary review shows who and when, and undoes it",
        ),
        Reason.JUDGED_PRIVATE: "people took these out; lapidary takedown removes them from the root for good",
        Reason.INVALID_QUESTIONS: "look at the view written_prompts; name another llm.model, or change write.prompt",
        Reason.NEAR_TRAINING_TEXT: "raise decontamination.near, or name another llm.model, which rewrites more freely",
        **dict.fromkeys(
            (Reason.REPEATED_PROMPT, Reason.NEAR_PROMPT),
            "the model repeats itself: raise llm.temperature, name another llm.model, or raise check.near",
        ),
        Reason.QUOTA_FULL: "more prompts passed than their category has room for; raise quotas.size, or leave it so",
        Reason.NO_WINDOWS: "lower windows.min_side, windows.fewest or windows.overlap, or raise download.size",
        Reason.NO_LOCAL_CAPTION: "look at the captions of windows in the view captions; see windows.fewest_captions",
        Reason.LISTS_WINDOWS: "change the prompt of the kind global, or raise consistency.max_shared",
        Reason.REPEATS_CAPTION: "change imagine.prompt, raise consistency.max_shared, or lower imagine.fewest",
        Reason.CONTRADICTS_GLOBAL: "name another llm.model, see consistency.threshold, or lower imagine.fewest",
        Reason.LOW_IMAGE_TEXT_SIMILARITY: "lower scores.min_caption_similarity",
    }
)


def remedy(reason: str) -> str:
    """What to do about rows lost to this reason; for a reason of another package, where to read more."""
    found = REMEDIES.get(reason) or remedies([c for s in installed().scorers for c in s.columns]).get(reason)
    return found or "ask the catalog for their detail"


def warnings(funnel: Sequence[FunnelRow]) -> list[str]:
    """One line for an empty release, and one for each reason that took more than half of the rows.

    Empty where the release has samples and no reason took that many, or the source has fewer than ``LEAST_ROWS`` rows.
    """
    rows = total(funnel)
    lost = sorted((r for r in funnel if r.fate == "rejected"), key=lambda r: -r.rows)
    most = [r for r in lost if rows >= LEAST_ROWS and r.rows > MOST * rows]
    lines = []
    if rows and not kept(funnel):
        lines.append(f"nothing was released: none of {rows:,} source rows is left")
        most = most or lost[:_SHOWN]
    return lines + [
        f"{r.rows:,} of {rows:,} rows ({r.rows / rows:.0%}) were lost at {r.stage} to {r.reason}: "
        f"{remedy(r.reason or '')}"
        for r in most
    ]
