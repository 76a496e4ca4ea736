"""Captions a second that the check judges on one core, against what it has to beat: 500."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from curation.caption.check.caption import check_caption
from schemas.refine import Check
from tests.support.clean_captions import clean_captions
from tests.support.faults import CLASSES, PROMPT, planted

TARGET = 500.0


def main() -> None:
    """CPU seconds, so that neighbours on the machine do not count; loading models and lists is left out."""
    replies = [(text, kind, "stop", alt_text) for text, alt_text, kind in clean_captions(2000)]
    for fault in CLASSES:
        replies += [(p.text, "dense", p.finish, p.alt_text) for p in planted(fault, 20, seed=3)]
    settings = Check()
    # Models are loaded at the first text that needs them.
    replies_before = [("Ein kleiner Hund schläft neben einer Lampe auf dem Sofa.", "dense", "stop", ""), *replies[:20]]
    for text, kind, finish, alt_text in replies_before:
        check_caption(text, kind, finish, alt_text, PROMPT, settings)
    started = time.process_time()
    for text, kind, finish, alt_text in replies:
        check_caption(text, kind, finish, alt_text, PROMPT, settings)
    rate = len(replies) / (time.process_time() - started)
    print(f"check ratio={rate / TARGET:.2f} ours={rate:.0f}/s theirs={TARGET:.0f}/s (the target, one core)")


if __name__ == "__main__":
    main()
