"""The one list of fates, stages and reasons. Reasons are an enumeration; what varies goes into ``detail``."""

from __future__ import annotations

import enum


class Fate(enum.StrEnum):
    """Where a source row ended. Every row has exactly one."""

    KEPT = "kept"  # it stands in the release
    REJECTED = "rejected"  # a stage decided against it, and says why
    FAILED = "failed"  # no verdict was reached: its shard failed, or the run has not got that far


class Reason(enum.StrEnum):
    """Why a row is not kept."""

    # plan: what the source itself says of the row
    MALFORMED_ROW = "malformed_row"
    NO_URL = "no_url"
    NO_ALT_TEXT = "no_alt_text"
    BLOCKED_HOST = "blocked_host"
    BLOCKED_URL = "blocked_url"
    BLOCKED_WORDS = "blocked_words"
    BLOCKED_SHA256 = "blocked_sha256"
    CLAIMED_TOO_SMALL = "claimed_too_small"
    CLAIMED_ASPECT = "claimed_aspect"
    FEW_WORDS = "few_words"
    FEW_CHARACTERS = "few_characters"
    MANY_CHARACTERS = "many_characters"
    LANGUAGE = "language"
    LOW_SIMILARITY = "low_similarity"
    LOW_AESTHETIC = "low_aesthetic"
    UNSAFE = "unsafe"
    WATERMARK = "watermark"
    GONE_FROM_SOURCE = "gone_from_source"
    REPEATED_ROW = "repeated_row"
    REPEATED_TEXT = "repeated_text"
    TAKEN_DOWN = "taken_down"

    # download: the network
    BAD_URL = "bad_url"
    FORBIDDEN_ADDRESS = "forbidden_address"
    NAME_NOT_RESOLVED = "name_not_resolved"
    CONNECTION_FAILED = "connection_failed"
    TLS_FAILED = "tls_failed"
    TIMEOUT = "timeout"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    HTTP_400 = "http_400"
    HTTP_401 = "http_401"
    HTTP_403 = "http_403"
    HTTP_404 = "http_404"
    HTTP_410 = "http_410"
    HTTP_429 = "http_429"
    HTTP_451 = "http_451"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    HTTP_UNEXPECTED = "http_unexpected"
    TRUNCATED = "truncated"
    TOO_MANY_BYTES = "too_many_bytes"
    OPTED_OUT = "opted_out"
    ROBOTS_TXT = "robots_txt"
    USE_RESTRICTED = "use_restricted"
    HASH_MISMATCH = "hash_mismatch"
    FILE_MISSING = "file_missing"

    # download: the pixels
    EMPTY_BODY = "empty_body"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TOO_MANY_PIXELS = "too_many_pixels"
    UNDECODABLE = "undecodable"
    ANIMATED = "animated"
    TOO_SMALL = "too_small"
    ASPECT = "aspect"

    # blocklists: the images (also blocked_host, blocked_url and blocked_sha256)
    BLOCKED_PHASH = "blocked_phash"

    # dedupe
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    NEAR_EVALUATION_ITEM = "near_evaluation_item"
    SHARED_TEXT = "shared_text"

    # recaption
    MODEL_ERROR = "model_error"
    MODEL_REFUSED_REQUEST = "model_refused_request"
    INVALID_REPLY = "invalid_reply"
    CONTENT_FILTER = "content_filter"

    # check
    REFUSAL = "refusal"
    CUT_OFF = "cut_off"
    REPETITION = "repetition"
    PROMPT_ECHO = "prompt_echo"
    INSTRUCTION_ECHO = "instruction_echo"
    BOILERPLATE_OPENING = "boilerplate_opening"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    WRONG_LANGUAGE = "wrong_language"
    WRONG_SCRIPT = "wrong_script"
    UNKNOWN_NAME = "unknown_name"
    MARKUP = "markup"
    CONTROL_CHARACTERS = "control_characters"
    FILLER = "filler"
    TASK_TALK = "task_talk"
    NOT_TAGS = "not_tags"

    # clean
    NOTHING_LEFT = "nothing_left"

    # subjects
    NO_SUBJECT = "no_subject"

    # verify
    FALSE_STATEMENT = "false_statement"
    MANY_STATEMENTS = "many_statements"

    # caption_repeats
    REPEATED_CAPTION = "repeated_caption"
    REPEATED_OPENING = "repeated_opening"

    # embed: what a model sees in images
    SEMANTIC_DUPLICATE = "semantic_duplicate"

    # balance: what very many texts name
    FREQUENT_CONCEPTS = "frequent_concepts"
    NO_CONCEPT = "no_concept"

    # scores
    LOW_IMAGE_TEXT_SIMILARITY = "low_image_text_similarity"
    NOT_IN_TOP = "not_in_top"

    # reviews: what people decided
    JUDGED_FALSE = "judged_false"
    JUDGED_INCOMPLETE = "judged_incomplete"
    JUDGED_BADLY_WRITTEN = "judged_badly_written"
    JUDGED_POOR_IMAGE = "judged_poor_image"
    JUDGED_OFF_TOPIC = "judged_off_topic"
    JUDGED_UNSAFE = "judged_unsafe"
    JUDGED_PRIVATE = "judged_private"
    JUDGED_OTHERWISE = "judged_otherwise"

    # prompts of evaluation sets
    INVALID_QUESTIONS = "invalid_questions"
    NEAR_TRAINING_TEXT = "near_training_text"
    REPEATED_PROMPT = "repeated_prompt"
    NEAR_PROMPT = "near_prompt"
    QUOTA_FULL = "quota_full"

    # windows
    NO_WINDOWS = "no_windows"

    # local
    NO_LOCAL_CAPTION = "no_local_caption"
    LISTS_WINDOWS = "lists_windows"

    # consistent
    REPEATS_CAPTION = "repeats_caption"
    CONTRADICTS_GLOBAL = "contradicts_global"

    # no verdict
    SHARD_FAILED = "shard_failed"
    UNFINISHED = "unfinished"
