"""Talk about the caption, the request or the alt text beside the caption: notes, labels, several options.

A sentence or a closing section of such talk is cut off, since nothing is said of the picture in it. Where the
talk is the caption (thinking aloud, several captions for one picture, what an alt text says), it rejects.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from curation.caption.check.finding import Finding
from curation.caption.check.sentences import sentences
from curation.caption.check.written import tidy_lines, without_quotes
from schemas.reasons import Reason

_END = r"(?:\A|(?<=[.!?…\"”’)\]*:])|(?<=\n))"
_OPEN = r"\s*[\[(*_~\-–—•#>]{0,6}\s*"
_CLOSE = r"[\])*_]{0,4}\s*[:：]"

# A label behind a whole sentence: all from there on is no caption.
_SECTION = re.compile(
    _END + _OPEN + r"(?:(?:please\s+|follow-?up\s+|side\s+|additional\s+|key\s+|short\s+|brief\s+|important\s+|editor'?s\s+|final\s+|extra\s+|style\s+|technical\s+|suggested\s+|possible\s+"
    r"|(?:[a-z]+\s+){0,3}(?=captions?|descriptions?)|relevant\s+|general\s+|my\s+|follow-?up\s+|negative\s+|alternate\s+|alternative\s+|alternatively,?\s+|another\s+|shorter\s+|longer\s+|simplified\s+|revised\s+|concise\s+|more\s+\w+\s+)*"
    r"(?:n\.?b\.?|p\.?s\.?|tl;?\s?dr|in\s+short|notes?|remarks?|comments?|(?:additional|further|background)\s+info(?:rmation)?|visual\s+elements|key\s+elements|q|recommendations?|suggestions?|fun\s+fact|trivia|facts?|usage|(?:here(?:['’]s|\s+is)\s+)?an?\s+(?:\w+\s+)?(?:alternative|version)|note to \w+|explanations?|reasoning|rationale|justification|reason|analysis|thoughts?|thinking|keywords?|tags?|hash\s?tags|labels?"
    r"|alt[ -]?text|alt|title|captions?|descriptions?|summary|confidence|score|rating|sources?|credits?|photo credit|image credit|disclaimers?|warning|word\s+count|token\s+count"
    r"|character\s+count|words|length|translations?|english|prompt|edit|update|correction|question|follow-up|references?|metadata|parameters|categor(?:y|ies)|genre|mood|style"
    r"|themes?|quality|options?|versions?|output|input|answer|response|result|context|interpretation|assumptions?|observations?|objects?|detected objects|entities|attributes"
    r"|instructions?|task|hint|tip|next steps?|conclusion|ocr|visible text|text in (?:the )?image|url|link|file\s?name|date|author|camera(?:\s+settings)?|gps\s+coordinates|exif|lens|settings|iso|resolution|steps|alternatively|or))"
    + _CLOSE + r"(?!\d\d\b)|" + _END + r"\s*\W{0,3}(?:P\.?\s?S\.\s|(?:notes?|remarks?|n\.?b\.?)\s+[-–—]\s)|\n\s*\W{0,3}(?:or|alternatively|alternative|another\s+option)\W{0,3}\n",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    _END + r"\s*[\[(*_]{1,4}\s*(?:please\s+)?(?:note|n\.?b\.?|this\s+(?:caption|description|is\s+an?\s+\w+\s+(?:caption|description))|the\s+(?:caption|description)|word|generated|total|approx"
    r"|based\s+on|as\s+(?:requested|per)|edited|\d{1,4}\s+(?:words|characters|tokens)|words?)\b[^\n]{0,600}\Z",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"\s*[\[(*_-]{0,3}\s*(?:(?:total\s+)?(?:word|token|character)s?(?:\s*count)?\s*[:=]?\s*(?:~|about|approx\w*\.?)?\s*\d{1,4}(?:\s*words?)?|(?:~|about\s+|approx\w*\.?\s+)?\d{1,4}\s+(?:words|characters|tokens))"
    r"(?:\s+(?:total|used|long|in total))?\s*[\])*_]{0,3}\.?\s*\Z",
    re.IGNORECASE,
)
# "Option 1:", "**Caption B (short):**", "Version two -"
_CHOICE = re.compile(
    _END + r"\s*[\[(*_#\-•]{0,4}\s*(?:(?:first|second|third|fourth|1st|2nd|3rd)\s+(?:option|caption|version|description|alternative|variant)[\])*_]{0,4}\s*:|\[(?:option|caption|version)\s\w{1,5}\]|(?:option|caption|version|variant|variation|alternative|choice|description|candidate|example|sample|answer|response|draft|suggestion|prompt"
    r"|image|picture|photo|frame|panel|step|sentence|paragraph|part|scene|question)\s*(?:#|no\.?\s*|number\s+)?(?:\d{1,2}|[A-E]|one|two|three|four|five|i{1,3}|iv)\b\s*"
    r"(?:\([^)\n]{0,60}\))?[\])*_]{0,4}\s*(?::|\.(?=\s+[A-Z])|\s[-–—]\s|\n))",
    re.IGNORECASE,
)
_PARTS = re.compile(r"\b(?:image|picture|photo|frame|panel|step|sentence|paragraph|part|scene|question)\b", re.IGNORECASE)
_SEVERAL = re.compile(
    r"\b(?:here\s+are|below\s+are|following\s+are|(?:i\s+)?(?:have|suggest|offer|propose|generated))\s+(?:\w+\s+){0,3}?(?:two|three|four|five|six|ten|several|some|a\s+few|multiple|\d{1,2}|possible|different)\s+(?:\w+\s+){0,4}?"
    r"(?:captions|descriptions|options|versions|variations|alternatives|suggestions|ideas)\b|\b(?:captions|descriptions|options)\s+for\s+(?:this|the|your)\s+(?:image|picture|photo)\s*:",
    re.IGNORECASE,
)
# Labels of a structured answer; where they stand in a picture they are no labels of talk.
_FIELD = re.compile(
    _END + r"\s*[\[(*_\-•]{0,4}\s*(main\s+subjects?|subjects?|setting|lighting|colou?rs?(?:\s+palette)?|composition|style|mood|atmosphere|details|objects?|main\s+objects|camera(?:\s+angle)?|text"
    r"|perspective|scene|environment|location|action|actions|medium|quality|background|foreground|clothing|people|person|attributes|title|description|keywords|tags|view|focus|shot|texture|emotion|emotions"
    r"|short\s+caption|long\s+caption|dense\s+caption|detailed\s+caption|overall|weather|time\s+of\s+day|angle|genre|category|overview|additional\s+details|visual\s+elements)\**\s*:(?=\s)",
    re.IGNORECASE,
)
_PLACES = frozenset({"background", "foreground", "view", "scene"})
_TITLED = re.compile(
    r"\A\W*(?:title|headline|name|subject|topic|heading)\s*:\s*[^\n]{1,200}?[\n.]?\s*\**(?:description|caption|dense caption|detailed caption)\**\s*:\s*\**\s*(?=\S)", re.IGNORECASE
)
_ASKED = re.compile(r"\A\W*(?:question|q|prompt|instruction|request|user)\s*:[^\n]{1,300}?(?:[?.\n])\s*(?:answer|a|caption|response|description|output)\s*:\s*(?=\S)", re.IGNORECASE)

_PAPER = re.compile(r"\b(?:printed|ink|handwrit\w*|museum|newspaper|magazine|book|plaque|plate|poster|sticker|card|sign|box|tin|label|wall|page|painted|screen|exhibit\w*|frame)", re.IGNORECASE)
_TALK_OF = (
    r"(?:captions?|descriptions?|response|answer|reply|summary|alt[ -]?text|output|narrative|depiction|analysis|details?|information|explanation|account)"
)
_VERB = (
    r"(?:is|are|was|were|has|have|had|does|do|did|provides?|captures?|aims?|avoids?|focus\w*|describes?|mentions?|includes?|covers?|adheres?|follows?|meets?|contains?"
    r"|omits?|reflects?|highlights?|emphasi[sz]es?|accurately|should|can|could|may|will|would|remains?|uses?|starts?|begins?|ends?|excludes?|sticks?|stays?|offers?|conveys?"
    r"|encapsulates?|leaves?|tries|attempts?|seeks?|intends?|ensures?|gives?|summari[sz]es?|presents?|helps?|needs?|matches|refers?|assumes?|deliberately|intentionally|does\s+not|doesn['’]t|above|provided|given)"
)
_TALKS = re.compile(
    rf"\b(?:this|the|these|my|your|our|above|following|provided|given|all|any|no|such)\s+(?:(?:above|provided|given|generated|following|entire|whole|detailed|visual|dense|short|brief|overall|image|new|concise|other|full)\s+){{0,3}}{_TALK_OF}\s+(?:(?:here|above|provided|given)\s+)?{_VERB}\b"
    r"|\bthis\s+is\s+what\s+the\s+(?:image|picture|photo)\b|\bthe\s+(?:above\s+)?text\s+(?:above\s+)?(?:adheres|follows|is\s+a\s+(?:faithful|accurate)|meets|describes\s+the|was\s+written)|\A\W*(?:the\s+)?(?:caption|description)\s+(?:ends?|complete|finished|done)\b|\A\W*(?:the\s+)?end(?:\s+of\s+(?:the\s+)?\w+)?\W*\Z"
    r"|\b(?:remains?|is|are)\s+(?:un(?:specified|disclosed|stated|identified)|unknown)\b|\b(?:not\s+possible|impossible)\s+to\s+(?:tell|say|know)\b|\A\W*(?:in\s+(?:summary|conclusion|short)|to\s+(?:summari[sz]e|sum\s+up|conclude)),"
    r"|\bdetails?\s+(?:described|mentioned|listed|provided|given)\b|\A\W*(?:what\s+an?\s+|such\s+an?\s+)?(?:great|nice|beautiful|lovely|cute|amazing|wonderful|stunning)\s+(?:picture|photo|image|shot|capture)\b|\bwhat\b[^.?!]{0,40}\b(?:you\s+see|(?:this|the)\s+(?:image|picture|photo))\b[^.?!]{0,30}\?"
    r"|\b(?:imaginary|imagined|hallucinated|fabricated|fictitious|invented|made-up|speculative|speculated|subjective|unverified|extraneous|interpretive|assumed)\s+(?:content|details?|information|elements?|objects?|descriptions?|claims?|interpretations?|language|statements?)\b"
    r"|\ball\s+(?:the\s+)?(?:descriptions?|details|elements|information|statements|observations)\s+(?:\w+\s+)?(?:are|is|were|come)\s+(?:\w+ly\s+)?(?:based|derived|visible|taken|drawn|from|grounded|factual|accurate)"
    r"|\bbased\s+(?:solely|only|purely|entirely|strictly|exclusively)\s+(?:on|upon)\b|\bstrictly\s+based\s+on\b|\bbased\s+on\s+(?:the\s+)?(?:visible|visual|observable|provided|given|available)\s+(?:content|information|elements|details|evidence|cues|data|text|image)"
    r"|\b(?:no|without(?:\s+\w+ing)?(?:\s+any)?|not?\s+\w+\s+any)\s+(?:\w+\s+){0,2}?(?:assumptions?|speculations?|interpretations?|opinions?|guesses|guesswork|inferences?|embellishments?|(?:additional|further|other|extra|unnecessary)\s+(?:\w+\s+)?(?:details?|information|context|commentary|elements))\b"
    r"|\b(?:does\s+not|doesn['’]t|do\s+not|don['’]t|did\s+not)\s+(?:\w+\s+){0,2}?(?:provide|give|offer|specify|mention|indicate|reveal|contain|include|disclose|show|depict|allow)\s+(?:\w+\s+){0,4}?(?:information|details?\s+(?:about|on|of|beyond)|context|clues?|indication|identity|evidence|content|fictional|imaginary)\b"
    r"|\b(?:not|never|n['’]t)\s+(?:explicitly\s+|clearly\s+|further\s+|otherwise\s+)?(?:specified|mentioned|stated|disclosed|described)\b"
    r"|\b(?:cannot|can['’]t|could\s+not|can\s+not|may\s+not|(?:is|are|was)\s+(?:not\s+possible|impossible|unable)\s+to)\s+(?:\w+ly\s+)?(?:be\s+)?(?:\w+ly\s+)?(?:determined?|identified|inferred|infer|ascertain(?:ed)?|confirm(?:ed)?|verif(?:y|ied)|deduced?|concluded?|established)\b"
    r"|\b(?:not\s+(?:clear|certain|evident|known|apparent|possible)|unclear|unknown|uncertain|hard\s+to\s+(?:say|tell)|difficult\s+to\s+(?:say|tell|determine))\s+(?:\w+\s+){0,2}?(?:from|based\s+on|in)\s+(?:the|this)\s+(?:image|picture|photo\w*|description|caption|text)\b"
    r"|\b(?:as|per|following|fulfilling|according\s+to|in\s+(?:line|accordance|keeping)\s+with|based\s+on|given)\s+(?:\w+\s+)?(?:your|the|given|provided|my)\s+(?:\w+\s+)?(?:prompts?|requests?|query|instructions?|guidelines?|requirements?|specifications?|task|criteria|word\s+limit)\b"
    r"|\b(?:as\s+requested|as\s+instructed|word\s+limit|word\s+count|within\s+\d+\s+words|under\s+\d+\s+words|in\s+(?:under|about|around|exactly)\s+\d+\s+words|for\s+training\s+(?:data|purposes|an?\b)|text-to-image|image\s+generation|training\s+data|image\s+captioning)\b"
    r"|\b(?:sfw|nsfw|safe\s+for\s+work)\b|\b(?:purely|entirely)\s+(?:factual|objective|descriptive)\b|\bobjective\s+description\b"
    r"|\bthis\s+is\s+(?:a|the|my|an)\s+(?:\w+\s+){0,4}?(?:caption|description|summary)\b|\bthe\s+(?:scene|image|picture|photo)\s+is\s+(?:described|captioned)\b"
    r"|\A\W*(?:please\s+note|note\s+that|note\b\s*:|it\s+(?:is|should\s+be)\s+(?:worth\s+)?(?:noted|noting)\s+that\s+(?:this|the)\s+(?:caption|description))",
    re.IGNORECASE,
)
_OFFERS = re.compile(
    r"\A\W*(?:please\s+)?(?:let\s+me\s+know|feel\s+free|(?:i\s+)?hope\s+(?:this|that|it|you)|would\s+you\s+like|do\s+you\s+(?:want|need)\s+(?:me|any|a)|is\s+there\s+anything(?:\s+else)?\s+(?:you|i)|happy\s+to\s+(?:help|adjust|refine)"
    r"|if\s+you(?:['’]d|\s+would|\s+need|\s+want|\s+have|\s+like)\b[^.!?]{0,80}\b(?:let\s+me|feel\s+free|i\s+can|i['’]d|just\s+ask)|enjoy\b|hope\s+that\s+helps|thank\s+you\s+for|you['’]re\s+welcome|how\s+does\s+(?:this|that)\s+(?:sound|look)"
    r"|i\s+can\s+also\b|want\s+me\s+to\b|(?:shall|should|could|can)\s+i\b|how\s+(?:can|may)\s+i\b|does\s+this\s+(?:caption|description|help|meet|work)\b)",
    re.IGNORECASE,
)
_ALT = re.compile(
    r"\b(?:alt(?:ernat(?:e|ive))?[\s_-]*(?:text|attribute|tag|caption|description)s?|(?:accompanying|provided|supplied|original|user['’]?s?|given|associated|source|web\s?page['’]?s?|website['’]?s?)\s+"
    r"(?:alt\s+)?(?:text|caption|title|metadata|prompt|context|hint)|(?:the|image)\s+metadata|file\s?name|exif(?:\s+data)?)\b(?!\s+(?:is|are)\s+(?:printed|painted))",
    re.IGNORECASE,
)
_ASKER = re.compile(
    r"\bthe\s+(?:user|prompt|request|query|instructions?|guidelines?|task|questioner)\s+(?:asks?|asked|wants?|wanted|says?|said|requests?|requested|specif\w+|states?|requires?|instructs?|mentions?|provided|gave|is\s+asking|needs)\b|\bthe\s+task\s+(?:is|was)\s+to\b"
    r"|\b(?:alt[_ ]text|image_url|system\s+prompt)\b",
    re.IGNORECASE,
)
_ALOUD = re.compile(
    r"(?:\A|(?<=[.!?:]\s)|(?<=[.!?]))\W*(?:okay|ok|alright|hmm+|well|so|wait|now|first|right|got\s+it|sure)?,?\s*(?:(?:so|now|then|first(?:ly)?|next|wait)?,?\s*)"
    r"(?:let(?:['’]s|\s+me|\s+us)\s+(?:\w+\s+)?(?:look|describe|start|see|think|analy[sz]e|break|begin|check|count|write|try|draft|focus|consider|make|go|examine|take|identify|refine|note|re-?\w+|craft|combine|put)"
    r"|(?:i|we)(?:['’]ll|['’]ve|['’]d|['’]m|\s+(?:need|should|must|will|have|can|could|want|think|believe|notice|see|am|was|also|would|might|tried|chose|kept|avoided|used))\b"
    r"|(?:wait|hmm+|hm|oh)\s?[,.!…]|(?:the\s+)?user\s+(?:is|wants|asked|asks|said)|step\s+\d+\s*[:.]|thinking\s*:|thought\s*:|draft\s*:|my\s+(?:caption|description|answer|task|job|goal)\b|the\s+(?:caption|description|answer)\s+(?:should|must|needs|could)\b|(?:do\s+not|don['’]t|never|avoid|please)\s+(?:mention|include|describ\w+|use|add|specul\w+|invent|guess|start|write)\w*|need\s+to\s+(?:describe|mention|write|avoid|keep|check)|should\s+(?:describe|mention|avoid|keep|start|write)\b|must\s+(?:not\s+)?(?:describe|mention|avoid|keep)\b)",
    re.IGNORECASE,
)
_CAMERA = re.compile(
    r"\b(?:shot|taken|captured|photographed|filmed|made|snapped|recorded)\s+(?:in\s+(?:4k|8k|hdr|raw)\b|(?:\w+\s+){0,2}?(?:with|on|using|at|by)\s+(?:\w+\s+){0,3}?(?:drone|canon|nikon|sony|fuji\w*|leica|hasselblad|olympus|pentax|panasonic|dslr|mirrorless|eos|iphone|pixel|kodak|portra|f/\d|iso\s?\d|\d{2,3}\s?mm|\d+(?:\.\d+)?\s?s\b|1/\d{2,4}))"
    r"|\b(?:aperture|shutter\s+speed|focal\s+length|iso|exposure(?:\s+time)?|white\s+balance)\s+(?:is|was|of|set|appears|at|value|around|around)\b|\bf/\d(?:\.\d)?\b[^.]{0,40}\b(?:1/\d{2,4}|iso|mm)\b|\biso\s?\d{2,5}\b[^.]{0,40}\b(?:f/\d|1/\d{2,4}|mm)|\b(?:1/\d{2,4})\s?s?\b[^.]{0,30}\b(?:f/\d|iso)"
    r"|\b\d{2,3}\s?mm\b[^.]{0,30}\b(?:f/\d|iso|1/\d)|\bgps\s+coordinates\b|\b(?:canon\s+eos|nikon\s+[dz]\d|sony\s+(?:a|α)\d|fujifilm\s+x)\w*[^.]{0,40}\b(?:lens|f/|iso|mm)\b",
    re.IGNORECASE,
)
_DEVICE = re.compile(r"\b(?:barrel|dial|markings?|engraved|display|screen|label|lies|stands|tripod|shelf|hangs|holds|holding|held|desk|table|bag|strap|box|printed|readout|camera\s+(?:is|shows|sits))\b", re.IGNORECASE)
_MARK = re.compile(r"\b(?:watermark(?:s|ed|ing)?|shutterstock|getty\s?images|alamy|dreamstime|123rf|istock(?:photo)?|depositphotos|adobe\s?stock|bigstock|vectorstock|freepik)\b", re.IGNORECASE)
_REAL_MARK = re.compile(r"\b(?:banknotes?|bills?|paper|passports?|stamps?|held\s+(?:up\s+)?(?:against|to)|sheets?|stationery|certificate)\b", re.IGNORECASE)
_CREDIT = re.compile(
    r"\b(?:photo(?:graph)?|image|picture|artwork|illustration)\s+(?:credit|courtesy|source|copyright)s?\b|\bcredit\s*:|\b(?:photo|image|picture)\s+by\s+[A-Z]|\bcourtesy\s+of\b|\ball\s+rights\s+reserved\b|©|\broyalty[- ]free\b|\bstock\s+(?:photo|image|vector|illustration|footage|photography)\s*\W*\Z"
    r"|\bvia\s+(?:unsplash|pexels|pixabay|wikimedia|flickr|getty)\b|\bon\s+(?:unsplash|pexels|pixabay)\b|\bgenerated\s+(?:by|with|using)\s+(?:an?\s+)?(?:ai|chatgpt|gpt|gemini|midjourney|dall|stable\s+diffusion|llm|qwen|llava)",
    re.IGNORECASE,
)
_BOORU = re.compile(
    r"\b(?:[1-6]\+?(?:girl|boy|other)s?|no\s+humans|looking\s+at\s+viewer|masterpiece|best\s+quality|high(?:est)?\s+quality|highly\s+detailed|ultra[- ]?detailed|hyper[- ]?(?:detailed|realistic)|photo-?realistic|absurdres|highres|8k|4k|uhd|hdr|trending\s+on\s+artstation"
    r"|octane\s+render|unreal\s+engine|sharp\s+focus|award[- ]winning|score_\d+(?:_up)?|rating\s*:\s*\w+|safe_\w+|source_\w+|simple\s+background|cinematic\s+lighting|raw\s+photo|solo|intricate\s+details?|studio\s+lighting|depth\s+of\s+field|professional\s+photography|bokeh|upper\s+body|full\s+body|realistic|dslr)\b",
    re.IGNORECASE,
)
_SNAKE = re.compile(r"\b[a-z]{2,16}(?:_[a-z]{2,16}){1,3}\b")
# What a text must hold, in lower case, for a look at its sentences to be worth its time.
_SIGNS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (_ALOUD, (
        "let's", "let’s", "let me", "let us", " i ", "i'", "i’", "we ", "user", "wait", "hmm", "hm,", "oh,", "step ", "thinking", "thought:", "draft",
        "my ", "caption", "descri", "answer", "need to", "should ", "must ", "do not ", "don't", "don’t", "never ", "avoid", "please",
    )),
    (_ASKER, ("the user", "prompt", "the request", "the query", "instruction", "guideline", "the task", "questioner", "alt_text", "image_url")),
    (_ALT, ("alt", "accompanying", "provided", "supplied", "original", "user", "given", "associated", "source", "web", "metadata", "file", "exif")),
    (_OFFERS, ("let me know", "feel free", "hope ", "would you", "do you", "anything", "happy to", "if you", "enjoy", "thank you", "welcome", "how does", "i can", "want me", "shall i", "should i", "could i", "may i", "does this")),
    (_TALKS, (
        "caption", "descri", "response", "answer", "reply", "summary", "alt text", "alt-text", "output", "narrative", "depiction", "analysis", "detail", "information", "explanation",
        "account", "imagin", "hallucin", "fabricat", "made-up", "specul", "subjective", "verified", "extraneous", "interpret", "assum", "based on", "based solely", "based only", "based purely", "based entirely",
        "based strictly", "based exclusively", "opinion", "guess", "infer", "embellish", "context", "clue", "indication", "identity", "evidence", "content", "fictional", "specified", "mention", "stated", "disclosed",
        "determin", "identif", "ascertain", "confirm", "verif", "deduc", "conclude", "establish", "clear", "certain", "unknown", "evident", "hard to", "difficult to", "prompt", "request", "quer", "instruct",
        "guideline", "requirement", "specification", "task", "criteria", "limit", "word count", "training", "text-to", "generation", "sfw", "safe for", "objective", "factual", "purely", "note", "noted", "picture!",
        "photo!", "image!", "shot!", "picture.", "photo.", "what ", "fictitious", "invented", "adheres", "faithful", "end of", "the end", "unspecified", "undisclosed", "possible to", "impossible", "summar", "conclu", "in short",
    )),
    (_CAMERA, (
        "canon", "drone", "in 4k", "in 8k", "in raw", "nikon", "sony", "fuji", "leica", "hasselblad", "olympus", "pentax", "panasonic", "dslr", "mirrorless", "iphone", "kodak", "portra", "f/", "iso", "0mm", "5mm", "0 mm", "5 mm", "aperture", "shutter",
        "focal", "exposure", "white balance", "gps", "1/", "pixel", "eos ",
    )),
    (_MARK, ("watermark", "shutterstock", "getty", "alamy", "dreamstime", "123rf", "istock", "depositphotos", "adobe", "bigstock", "vectorstock", "freepik")),
    (_CREDIT, ("credit", "courtesy", "source", "copyright", "photo by", "image by", "picture by", "rights reserved", "©", "royalty", "stock", "via ", "unsplash", "pexels", "pixabay", "generated")),
)  # fmt: skip
_TAG_SIGNS = ("_", "quality", "masterpiece", "4k", "8k", "hdr", "uhd", "1girl", "1boy", "humans", "solo", "detailed", "realistic", "bokeh", "absurdres", "highres", "artstation", "score", "rating", "girls", "boys")
_LABEL_SIGN = re.compile(r"[:：]|\d\s+(?:word|char|token)|[\[(*_]\s*(?:note|this|word|generated|based|as |edited|total|\d)|words?\s+(?:count|-)|words?:|(?:Option|Caption|Version|Image|Step)\s\w+[.\n]|\s[-–—]\s|^\W*\d[.)]|\n[^\w\n]{0,4}(?:or|alt)|P\.\s?S\.|\bnote -|\[(?:Option|Caption|Version)", re.IGNORECASE)
_PRONOUN = re.compile(r"\W*(?:it|they|its|their|he|she|this|these|those|such|both|another)\b", re.IGNORECASE)
_FEWEST = 4  # words of a caption that must be left


def strip_talk(text: str) -> tuple[str, list[Finding]]:
    """The caption alone, and the talk that was around it; a finding rejects where the two cannot be parted."""
    found: list[Finding] = []
    text = tidy_lines(text)
    plain = without_quotes(text)
    if _LABEL_SIGN.search(plain):
        text = _labelled(text, plain, found)
        plain = without_quotes(text)
    low = f" {text.lower()} "
    if not any(map(_may_talk, low.split())):
        return text, found
    if any(sign in low for sign in _TAG_SIGNS) and (tags := _tag_list(plain)) is not None:
        _note(found, tags, rejects=True)
        return text, found
    looks = [(look, signs) for look, signs in _SIGNS if any(sign in low for sign in signs)]
    return (_without_sentences(text, plain, looks, found) if looks else text), found


@lru_cache(maxsize=1 << 16)
def _may_talk(word: str) -> bool:
    """Whether a word, between white space, is one that a sign consists of; most captions have none."""
    parts, whole = _sign_words()
    return any(part in word for part in parts) or word.strip(".,;:!?()[]\"'*“”") in whole


@cache
def _sign_words() -> tuple[tuple[str, ...], frozenset[str]]:
    """The rarest word of every sign: those looked for inside words, and short ones, which must be the word."""
    signs = [*_TAG_SIGNS, *(sign for _, signs in _SIGNS for sign in signs)]
    rare = {max(sign.split(), key=_telling) for sign in signs}
    short = {word for word in rare if len(word) < 4 and word.isalpha()} - {"iso"}
    return tuple(sorted(rare - short)), frozenset(short)


def _telling(word: str) -> tuple[bool, int]:
    """Orders the words of a sign by how seldom they stand in captions."""
    return word not in _EVERYWHERE, len(word)


_EVERYWHERE = frozenset(("the", "a", "do", "on", "to", "let", "by", "not", "me", "you", "can"))


def _note(found: list[Finding], passage: str, *, rejects: bool = False) -> None:
    found.append(Finding(Reason.TASK_TALK, passage.strip()[:120], rejects))


def _labelled(text: str, plain: str, found: list[Finding]) -> str:
    for start in (_TITLED, _ASKED):
        if (front := start.match(plain)) is not None:
            _note(found, front[0])
            text, plain = text[front.end() :], plain[front.end() :]
    if (several := _SEVERAL.search(plain)) is not None:
        _note(found, several[0], rejects=True)
        return text
    choices = list(_CHOICE.finditer(plain))
    if choices and (len(choices) > 1 or choices[0].start() == 0) and _PARTS.search(choices[0][0]):
        _note(found, choices[0][0], rejects=True)
        return text
    if choices:
        cut = choices[0].start() or choices[-1].start()
        first = choices[0].start() == 0
        end = choices[1].start() if first and len(choices) > 1 else len(text) if first else choices[0].start()
        start = choices[0].end() if first else 0
        _note(found, plain[cut : cut + 40])
        text, plain = text[start:end].strip(), plain[start:end].strip()
        text, plain = _bare(text), without_quotes(_bare(text))
    fields = [f[1].lower() for f in _FIELD.finditer(plain)]
    if len(fields) > 1 and set(fields) - _PLACES and (len(fields) > 2 or not set(fields) & _PLACES or _FIELD.match(plain)):
        _note(found, ", ".join(fields), rejects=True)
        return text
    for section in _SECTION.finditer(plain):
        if _whole(plain[: section.start()]):
            _note(found, text[section.start() :])
            text, plain = text[: section.start()].strip(), plain[: section.start()].strip()
            break
    for pattern in (_ASIDE, _COUNT):
        if (end_note := pattern.search(plain)) is not None and _whole(plain[: end_note.start()]):
            _note(found, text[end_note.start() :])
            text = text[: end_note.start()].strip()
            plain = without_quotes(text)
    return text


def _bare(text: str) -> str:
    return text.strip().strip("*_").strip()


def _whole(text: str) -> bool:
    """Whether a caption may end here."""
    return len(text.split()) >= _FEWEST


def _tag_list(plain: str) -> str | None:
    """What shows that the text is a list of tags for an image generator rather than a description."""
    tags = [t[0] for t in _BOORU.finditer(plain)]
    commas = plain.count(",")
    if len(set(tags)) > 1 and commas >= 2 or len(_SNAKE.findall(plain)) > 1:
        return ", ".join(dict.fromkeys(tags)) or _SNAKE.findall(plain)[0]
    return None


def _without_sentences(text: str, plain: str, looks: list[_Look], found: list[Finding]) -> str:
    spans = sentences(plain)
    kept: list[tuple[int, int]] = []
    cut_before = False
    for start, end in spans:
        sentence = plain[start:end]
        talk, rejects = _talk(sentence, text[start:end], looks)
        rejects = rejects or bool(talk) and len(plain.split()) - len(sentence.split()) < _FEWEST
        if talk:
            _note(found, text[start:end], rejects=rejects)
            if rejects:
                return text
            cut_before = True
            continue
        if cut_before and not kept and _PRONOUN.match(sentence):
            _note(found, text[start:end], rejects=True)
            return text
        kept.append((start, end))
    return " ".join(text[a:b] for a, b in kept) if cut_before else text


def _talk(sentence: str, whole: str, looks: list[_Look]) -> tuple[str, bool]:
    """What a sentence talks of instead of the picture, and whether the caption falls with it.

    ``whole`` is the sentence with its quotations.
    """
    low = f" {whole.lower()} "
    for look, signs in looks:
        if not any(sign in low for sign in signs):
            continue
        talk = look.search(whole if look is _MARK else sentence)
        if talk is None or (excuse := _EXCUSES.get(look)) is not None and excuse.search(sentence):
            continue
        return talk[0], look in _FALLS
    return "", False


_Look = tuple[re.Pattern[str], tuple[str, ...]]
_EXCUSES = {_TALKS: _PAPER, _CAMERA: _DEVICE, _MARK: _REAL_MARK, _ALOUD: _OFFERS}
_FALLS = frozenset((_ALOUD, _ASKER, _ALT))  # where the talk is the caption, or the caption rests on it
