"""The captioner's tokenizer: a byte-level BPE of the demo world's English that spells any text.

Capitalised words, digits and spaces are cut apart, so that a name is spelled alike wherever it stands and
can be copied token by token. The fixed paragraphs of the project's prompts are one token each: a prompt of
three hundred words costs a dozen tokens. Prompts in other words still go through, spelled out.
"""

from __future__ import annotations

from collections.abc import Iterator

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import CLIPImageProcessorPil, LlavaProcessor, PreTrainedTokenizerFast

from curation.caption.prompts import load
from curation.demo.alt_text import web_alt_text
from curation.demo.news import news_caption
from curation.demo.training.corpus import PATCH, SIDE
from curation.demo.training.shape import CONTEXT, IMAGE
from curation.demo.training.tasks import JSON_TASKS, caption, news_answer
from curation.demo.truth import generator
from curation.demo.world import scene

VOCABULARY = 1536
PAD, BEGIN, END, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"
PROMPTS = ("dense", "short", "entities", "subjects")
_TAGS = ("<alt_text>", "</alt_text>")
_WORDS = Regex(r"[A-Z]+(?![a-z])|[A-Z][a-z]+|'?\p{Ll}+| ?\p{Ll}+|\d|\s|[^\s\p{L}\d]+|\p{L}+")
_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] | upper }}: "
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] | selectattr('type', 'in', ['image', 'image_url']) %}<image>\n{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] }}{% endfor %}"
    "{% endif %}{{ '\n' }}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def paragraphs() -> list[str]:
    """The fixed paragraphs of the prompts, each once."""
    parts = (part for name in PROMPTS for part in load(name).body.split("\n\n"))
    return list(dict.fromkeys(p for p in parts if "{alt_text}" not in p and "{caption:" not in p))


def make_tokenizer(texts: int = 3000) -> PreTrainedTokenizerFast:
    """The tokenizer, trained on the captions of ``texts`` training scenes; the same bytes every time."""
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(_WORDS, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(paragraphs()) - len(_TAGS),
        special_tokens=[PAD, BEGIN, END, UNKNOWN, IMAGE],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(texts), trainer)
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in (*_TAGS, *paragraphs())])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        extra_special_tokens={"image_token": IMAGE},
        padding_side="left",
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def make_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """Squeezes every image to SIDE x SIDE, whatever its aspect, and writes the chat."""
    return LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"height": SIDE, "width": SIDE}, do_center_crop=False),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_TEMPLATE,
    )


def _texts(count: int) -> Iterator[str]:
    for name in PROMPTS:
        yield load(name).body
    yield "USER: \nASSISTANT:\nSYSTEM: "
    for index in range(count):
        shown, rng = scene(7, index), generator(71, index)
        for task in ("dense", "short"):
            yield caption(task, shown, rng)
        yield web_alt_text(shown, rng).text
        if index % 2:
            news = news_caption(shown, rng)
            yield news.text
            yield news_answer(JSON_TASKS[index // 2 % 2], news)


# The answers are single tokens; the second one is in the captioner's vocabulary.
YES, NO = "yes", " no"
_VERIFY = "verify"


def verify_parts() -> tuple[str, str]:
    """The text of a verification request before and behind its statement, with the tags around it."""
    mark = "STATEMENT"
    before, after = load(_VERIFY).render("", {}, mark).split(mark)
    return before, after


def add_verifying(tokenizer: PreTrainedTokenizerFast) -> None:
    """Adds the fixed texts of the verify prompt to a captioner's tokenizer, a token each, behind all others."""
    before, after = verify_parts()
    opening, closing = before.split("\n\n")[-1], after.split("\n\n")[0]
    texts = [opening, closing, *before.split("\n\n")[:-1], *after.split("\n\n")[1:], "ASSISTANT:"]
    known = set(tokenizer.get_vocab())
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in texts if t not in known])
    tokenizer.add_tokens([AddedToken(YES, normalized=False, single_word=True)])
