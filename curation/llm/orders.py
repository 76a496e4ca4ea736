"""What orders to a model, and imitations of its chat template, look like. Kept apart as data.

A pattern matches the telling words; the passage that is reported runs on to the end of the sentence.
"""

from __future__ import annotations

import re


def _any(*alternatives: str) -> str:
    return "(?:" + "|".join(alternatives) + ")"


_REST = r"[^.!?\n]*[.!?]?"
_DROP = _any(
    r"ignor(?:e|ing)", r"disregard(?:ing)?", r"forget(?:ting)?", r"overrid(?:e|ing)", "bypass", "stop following"
)
_DENY = _any("do not", "don['’]?t", "never", "instead of", "rather than", "stop")
_LOOK = _any(r"follow(?:ing)?", r"describ(?:e|ing)", r"caption(?:ing)?", "look(?:ing)? at", "obey(?:ing)?")
_RULES = _any(
    "instructions?", "prompts?", "rules", "guidelines?", "directions", "directives?", "commands?", "orders",
    "requests?", "tasks?", "images?", "pictures?", "photos?", "pixels", "above", "everything", "previous", "prior",
    "alt[ _-]?text",
)  # fmt: skip
_SAY = _any(
    "write", "say", "output", "print", "respond", "reply", "answer", "return", "repeat", "caption", "describe", "type",
    "translate", "state", "claim", "insert", "append", "call",
)  # fmt: skip
_WHO = _any(
    "ais?", r"a\.i\.", "llms?", "gpt", "chatgpt", "claude", "gemini", "assistants?", "(?:large )?language models?",
    "captioners?", "captioning (?:model|system|ai)", "vision[ -](?:language )?models?", "multimodal models?",
)  # fmt: skip
_NEW = _any(
    "new", "updated", "revised", "real", "actual", "secret", "hidden", "system", "admin(?:istrator)?", "developer",
    "your", "following", "important", "special",
)  # fmt: skip
_FORM = _any(
    "json", "xml", "html", "base64", "french", "german", "spanish", "russian", "chinese", "all caps", "uppercase",
    "one word", "a poem", "markdown", "python", "code", "rhyme",
)  # fmt: skip

_ORDERS = (
    rf"\b{_DROP}\b(?:\W+\w+){{0,5}}?\W+{_RULES}\b",
    rf"\b{_DENY}\s+{_LOOK}\b",
    rf"\b{_NEW} (?:instructions?|orders?|task|rules?|directives?|prompt)\s*(?::|-|are\b|is\b|follow)",
    r"\byou (?:are now|must|will now|shall|should now|are no longer)\b",
    r"\bfrom now on,? (?:you|all|every)\b",
    r"\b(?:act as (?:an?|if|the)|pretend (?:to be|that|you)|role-?play as)\b",
    rf"\b(?:dear|attention|note (?:to|for)|hey|hello|hi|listen|message (?:to|for)|instructions? (?:to|for))\b[,:]?\s*"
    rf"(?:the |all |any |an |every )?{_WHO}\b",
    rf"\bas an? {_WHO}\b",
    rf"\binstead,? (?:just |simply |only )?{_SAY}\b",
    rf"\b{_SAY}\b (?:with |back )?(?:only|exactly|nothing but|verbatim|the following|back)\b",
    rf"\b{_SAY}\b this (?:text|sentence|phrase|word)\b",
    rf"\b{_SAY}\b[^.!?\n]{{0,40}}\b(?:in|as) {_FORM}\b",
    rf"(?:\b(?:please|now|then|just|simply|only|and|must|always|to)|^|[.!?:;,-])\s*{_SAY}\b\s*(?:\w+\s+){{0,3}}"
    r"[\"“‘«]\s*\w",
    r"\b(?:reveal|show|print|output|repeat|leak|tell me|what (?:is|are|was)|display|disclose)\b.{0,30}"
    r"\b(?:system|hidden|initial|original|secret|your)\b.{0,12}\b(?:prompt|instructions?|rules|api key|passwords?)\b",
    r"\b(?:jailbreak(?:ed)?|developer mode|dan mode|do anything now|prompt injection|system override|admin override)\b",
    r"\bend of (?:the )?(?:alt[ _-]?text|data|instructions?|user (?:input|message)|prompt|untrusted)\b",
    r"\b(?:decode|execute|run|eval)\b.{0,20}\b(?:base64|this code|this command|the following)\b",
    r"\b(?:ignorier\w*|vergiss|ignorez|oubliez|ignora|ignore|olvida|ignorar|esqueça|negeer|zignoruj)\b.{0,40}\b(?:anweisung\w*|"
    r"bild|consignes?|instructions?|l['’]image|instrucciones|imagen|istruzioni|immagine|instruções|imagem|instructies|polecenia)\b",
    r"(?:игнориру\w*|забудь\w*).{0,30}(?:инструкц\w*|указани\w*|изображени\w*)",
    r"(?:忽略|无视|忽視|忘记|忘掉).{0,12}(?:指令|指示|提示|图片|图像|圖片)",
    r"(?:以前|前|上記|すべて)の.{0,6}(?:指示|命令).{0,6}無視|이전.{0,8}(?:지시|명령).{0,8}무시|تجاهل.{0,20}(?:التعليمات|الصورة)",
)
_TAGS = _any(
    "s", "bos", "eos", "pad", "unk", "image", "img", "video", "audio", "im_start", "im_end", "(?:start|end)_of_turn",
    "turn", "(?:start|end)_of_image", "image_soft_token", "box", "ref", "quad", "alt_?text", "caption", "system",
    "user", "assistant", "instructions?", "tool_call", "tool_response", "think", "thinking", "fake_token_around_image",
    "end_of_utterance", "global-img", r"row_\d+_col_\d+", "endoftext",
)  # fmt: skip
_BRACKETED = _any(
    "INST", "SYS", "IMG", "IMG_BREAK", "IMG_END", "gMASK", "sMASK", "CLS", "SEP", "MASK", "SYSTEM_PROMPT", "THINK",
    "AVAILABLE_TOOLS", "TOOL_CALLS", "TOOL_RESULTS",
)  # fmt: skip
_TEMPLATE = (
    r"<\s*[|｜][^<>]{1,60}[|｜]\s*>",
    rf"<\s*/?\s*{_TAGS}\s*/?>",
    rf"\[\s*/?\s*{_BRACKETED}\s*\]",
    r"<<\s*/?\s*SYS\s*>>",
    r"<0x[0-9A-Fa-f]{2}>",
    r"#{2,}\s*(?:instruction|system|response|assistant|user|human|input|prompt)\b",
    r"(?:^|[.!?\"'”>)\]]\s*)(?:system|assistant|human)\s*:\s*\S",
    r"\b(?:user|human)\s*:.{0,200}?\b(?:assistant|ai|model)\s*:",
)
PATTERNS = tuple(re.compile(p + _REST, re.I) for p in (*_ORDERS, *_TEMPLATE))
