"""Patterns of sentences about the caption, the request, the alt text or the camera instead of the picture."""

from __future__ import annotations

import re

PAPER = re.compile(
    r"\b(?:printed|ink|handwrit\w*|museum|newspaper|magazine|book|plaque|plate|poster|sticker|card|sign|box|tin|label"
    r"|wall|page|painted|screen|exhibit\w*|frame)",
    re.IGNORECASE,
)
_TALK_OF = (
    r"(?:captions?|descriptions?|response|answer|reply|summary|alt[ -]?text|output|narrative|depiction"
    r"|analysis"
    r"|details?"
    r"|information|explanation|account)"
)
_VERB = (
    r"(?:is|are|was|were|has|have|had|does|do|did|provides?|captures?|aims?|avoids?|focus\w*|describes?|mentions?"
    r"|includes?|covers?|adheres?|follows?|meets?|contains?"
    r"|omits?|reflects?|highlights?|emphasi[sz]es?|accurately|should|can|could|may|will|would|remains?|uses?|starts?"
    r"|begins?|ends?|excludes?|sticks?|stays?|offers?|conveys?"
    r"|encapsulates?|leaves?|tries|attempts?|seeks?|intends?|ensures?|gives?|summari[sz]es?|presents?|helps?|needs?"
    r"|matches|refers?|assumes?|deliberately|intentionally|does\s+not|doesn['’]t|above|provided|given)"
)
TALKS = re.compile(
    rf"\b(?:this|the|these|my|your|our|above|following|provided|given|all|any|no|such)\s+(?:(?:above|provided|given"
    rf"|generated|following|entire|whole|detailed|visual|dense|short|brief|overall|image|new|concise|other"
    rf"|full)\s+){{0,3}}{_TALK_OF}\s+(?:(?:here|above|provided|given)\s+)?{_VERB}\b"
    r"|\bno\s+mention\s+of\b|\b(?:needed|required|necessary)\s+to\s+(?:identify|determine|confirm|know)\b"
    r"|\bthis\s+is\s+what\s+the\s+(?:image|picture|photo)\b|\bthe\s+(?:above\s+)?text\s+(?:above\s+)?(?:adheres"
    r"|follows|is\s+a\s+(?:faithful|accurate)|meets|describes\s+the|was\s+written)|\A\W*(?:the\s+)?(?:caption"
    r"|description)\s+(?:ends?|complete|finished|done)\b|\A\W*(?:the\s+)?end(?:\s+of\s+(?:the\s+)?\w+)?\W*\Z"
    r"|\b(?:remains?|is|are)\s+(?:un(?:specified|disclosed|stated|identified)|unknown)\b|\b(?:not\s+possible"
    r"|impossible)\s+to\s+(?:tell|say|know)\b|\A\W*(?:in\s+(?:summary|conclusion|short)|to\s+(?:summari[sz]e|sum\s+up"
    r"|conclude)),"
    r"|\bdetails?\s+(?:described|mentioned|listed|provided|given)\b|\A\W*(?:what\s+an?\s+|such\s+an?\s+)?(?:great"
    r"|nice|beautiful|lovely|cute|amazing|wonderful|stunning)\s+(?:picture|photo|image|shot|capture)\b"
    r"|\bwhat\b[^.?!]{0,40}\b(?:you\s+see|(?:this|the)\s+(?:image|picture|photo))\b[^.?!]{0,30}\?"
    r"|\b(?:imaginary|imagined|hallucinated|fabricated|fictitious|invented|made-up|speculative|speculated|subjective"
    r"|unverified|extraneous|interpretive|assumed)\s+(?:content|details?|information|elements?|objects?|descriptions?"
    r"|claims?|interpretations?|language|statements?)\b"
    r"|\ball\s+(?:the\s+)?(?:descriptions?|details|elements|information|statements|observations)\s+(?:\w+\s+)?(?:are"
    r"|is|were|come)\s+(?:\w+ly\s+)?(?:based|derived|visible|taken|drawn|from|grounded|factual|accurate)"
    r"|\bbased\s+(?:solely|only|purely|entirely|strictly|exclusively)\s+(?:on|upon)\b|\bstrictly\s+based\s+on\b"
    r"|\bbased\s+on\s+(?:the\s+)?(?:visible|visual|observable|provided|given|available)\s+(?:content|information"
    r"|elements|details|evidence|cues|data|text|image)"
    r"|\b(?:no|without(?:\s+\w+ing)?(?:\s+any)?|not?\s+\w+\s+any)\s+(?:\w+\s+){0,2}?(?:assumptions?|speculations?"
    r"|interpretations?|opinions?|guesses|guesswork|inferences?|embellishments?|(?:additional|further|other|extra"
    r"|unnecessary)\s+(?:\w+\s+)?(?:details?|information|context|commentary|elements))\b"
    r"|\b(?:does\s+not|doesn['’]t|do\s+not|don['’]t|did\s+not)\s+(?:\w+\s+){0,2}?(?:provide|give|offer|specify"
    r"|mention|indicate|reveal|contain|include|disclose|show|depict|allow)\s+(?:\w+\s+){0,4}?(?:information"
    r"|details?\s+(?:about|on|of|beyond)|context|clues?|indication|identity|evidence|content|fictional|imaginary)\b"
    r"|\b(?:not|never|n['’]t)\s+(?:explicitly\s+|clearly\s+|further\s+|otherwise\s+)?(?:specified|mentioned|stated"
    r"|disclosed|described)\b"
    r"|\b(?:cannot|can['’]t|could\s+not|can\s+not|may\s+not|(?:is|are|was)\s+(?:not\s+possible|impossible"
    r"|unable)\s+to)\s+(?:\w+ly\s+)?(?:be\s+)?(?:\w+ly\s+)?(?:determined?|identified|inferred|infer|ascertain(?:ed)?"
    r"|confirm(?:ed)?|verif(?:y|ied)|deduced?|discern(?:ed)?|concluded?|established)\b"
    r"|\b(?:not\s+(?:clear|certain|evident|known|apparent|possible)|unclear|unknown|uncertain|hard\s+to\s+(?:say"
    r"|tell)|difficult\s+to\s+(?:say|tell|determine))\s+(?:\w+\s+){0,2}?(?:from|based\s+on|in)\s+(?:the"
    r"|this)\s+(?:image|picture|photo\w*|description|caption|text)\b"
    r"|\b(?:as|per|following|fulfilling|according\s+to|in\s+(?:line|accordance|keeping)\s+with|based\s+on"
    r"|given)\s+(?:\w+\s+)?(?:your|the|given|provided|my)\s+(?:\w+\s+)?(?:prompts?|requests?|query|instructions?"
    r"|guidelines?|requirements?|specifications?|task|criteria|word\s+limit)\b"
    r"|\b(?:as\s+requested|as\s+instructed|word\s+limit|word\s+count|within\s+\d+\s+words|under\s+\d+\s+words"
    r"|in\s+(?:under|about|around|exactly)\s+\d+\s+words|for\s+training\s+(?:data|purposes|an?\b)|text-to-image"
    r"|image\s+generation|training\s+data|image\s+captioning)\b"
    r"|\b(?:sfw|nsfw|safe\s+for\s+work)\b|\b(?:purely|entirely)\s+(?:factual|objective|descriptive)\b"
    r"|\bobjective\s+description\b"
    r"|\bthis\s+is\s+(?:a|the|my|an)\s+(?:[\w,-]+\s+){0,5}?(?:caption|description|summary)\b|\bthe\s+(?:scene|image"
    r"|picture|photo)\s+is\s+(?:described|captioned)\b"
    r"|\A\W*(?:please\s+note|note\s+that|note\b\s*:|it\s+(?:is|should\s+be)\s+(?:worth\s+)?(?:noted"
    r"|noting)\s+that\s+(?:this|the)\s+(?:caption|description))",
    re.IGNORECASE,
)
OFFERS = re.compile(
    r"\A\W*(?:please\s+)?(?:let\s+me\s+know|feel\s+free|(?:i\s+)?hope\s+(?:this|that|it|you)|would\s+you\s+like"
    r"|do\s+you\s+(?:want|need)\s+(?:me|any|a)|is\s+there\s+anything(?:\s+else)?\s+(?:you|i)|happy\s+to\s+(?:help"
    r"|adjust|refine)"
    r"|if\s+you(?:['’]d|\s+would|\s+need|\s+want|\s+have|\s+like)\b[^.!?]{0,80}\b(?:let\s+me|feel\s+free|i\s+can"
    r"|i['’]d|just\s+ask)|enjoy\b|hope\s+that\s+helps|thank\s+you\s+for|you['’]re\s+welcome|how\s+does\s+(?:this"
    r"|that)\s+(?:sound|look)"
    r"|i\s+can\s+also\b|want\s+me\s+to\b|(?:shall|should|could|can)\s+i\b|is\s+(?:this|that)\s+(?:ok|okay|good|enough"
    r"|what|fine|correct)\b|how\s+(?:can|may)\s+i\b"
    r"|does\s+this\s+(?:caption|description|help|meet|work)\b)",
    re.IGNORECASE,
)
ALT = re.compile(
    r"\b(?:alt(?:ernat(?:e|ive))?[\s_-]*(?:text|attribute|tag|caption|description)s?|(?:accompanying|provided"
    r"|supplied|original|user['’]?s?|given|associated|source|web\s?page['’]?s?|website['’]?s?)\s+"
    r"(?:alt\s+)?(?:text|caption|title|metadata|prompt|context|hint)|(?:the|image)\s+metadata|file\s?name"
    r"|exif(?:\s+data)?)\b(?!\s+(?:is|are)\s+(?:printed|painted))",
    re.IGNORECASE,
)
ASKER = re.compile(
    r"\bthe\s+(?:user|prompt|request|query|instructions?|guidelines?|task|questioner)\s+(?:asks?|asked|wants?|wanted"
    r"|says?|said|requests?|requested|specif\w+|states?|requires?|instructs?|mentions?|provided|gave|is\s+asking"
    r"|needs)\b|\bthe\s+task\s+(?:is|was)\s+to\b"
    r"|\b(?:alt[_ ]text|image_url|system\s+prompt)\b",
    re.IGNORECASE,
)
ALOUD = re.compile(
    r"(?:\A|(?<=[.!?:]\s)|(?<=[.!?]))\W*(?:okay|ok|alright|hmm+|well|so|wait|now|first|right|got\s+it"
    r"|sure)?,?\s*(?:(?:so|now|then|first(?:ly)?|next|wait)?,?\s*)"
    r"(?:let(?:['’]s|\s+me|\s+us)\s+(?:\w+\s+)?(?:look|describe|start|see|think|analy[sz]e|break|begin|check|count"
    r"|write|try|draft|focus|consider|make|go|examine|take|identify|refine|note|re-?\w+|craft|combine|put)"
    r"|(?:i|we)(?:['’]ll|['’]ve|['’]d|['’]m|\s+(?:need|should|must|will|have|can|could|want|think|believe|notice|see"
    r"|am|was|also|would|might|tried|chose|kept|avoided|used))\b"
    r"|(?:wait|hmm+|hm|oh)\s?[,.!…]|(?:the\s+)?user\s+(?:is|wants|asked|asks|said)|step\s+\d+\s*[:.]|thinking\s*:"
    r"|thought\s*:|draft\s*:|my\s+(?:caption|description|answer|task|job|goal)\b|the\s+(?:caption|description"
    r"|answer)\s+(?:should|must|needs|could)\b|(?:do\s+not|don['’]t|never|avoid|please)\s+(?:mention|include"
    r"|describ\w+|use|add|specul\w+|invent|guess|start|write)\w*|need\s+to\s+(?:describe|mention|write|avoid|keep"
    r"|check)|should\s+(?:describe|mention|avoid|keep|start|write)\b|must\s+(?:not\s+)?(?:describe|mention|avoid"
    r"|keep)\b)",
    re.IGNORECASE,
)
CAMERA = re.compile(
    r"\b(?:shot|taken|captured|photographed|filmed|made|snapped|recorded)\s+(?:in\s+(?:4k|8k|hdr|raw)\b"
    r"|(?:\w+\s+){0,2}?(?:with|on|using|at|by)\s+(?:\w+\s+){0,3}?(?:drone|canon|nikon|sony|fuji\w*|leica|hasselblad"
    r"|olympus|pentax|panasonic|dslr|mirrorless|eos|iphone|pixel|kodak|portra|f/\d|iso\s?\d|\d{2,3}\s?mm"
    r"|\d+(?:\.\d+)?\s?s\b|1/\d{2,4}))"
    r"|\b(?:aperture|shutter\s+speed|focal\s+length|iso|exposure(?:\s+time)?|white\s+balance)\s+(?:is|was|of|set"
    r"|appears|at|value|around|around)\b|\bf/\d(?:\.\d)?\b[^.]{0,40}\b(?:1/\d{2,4}|iso|mm)\b"
    r"|\biso\s?\d{2,5}\b[^.]{0,40}\b(?:f/\d|1/\d{2,4}|mm)|\b(?:1/\d{2,4})\s?s?\b[^.]{0,30}\b(?:f/\d|iso)"
    r"|\b\d{2,3}\s?mm\b[^.]{0,30}\b(?:f/\d|iso|1/\d)|\bgps\s+coordinates\b|\b(?:canon\s+eos|nikon\s+[dz]\d"
    r"|sony\s+(?:a|α)\d|fujifilm\s+x)\w*[^.]{0,40}\b(?:lens|f/|iso|mm)\b",
    re.IGNORECASE,
)
DEVICE = re.compile(
    r"\b(?:barrel|dial|markings?|engraved|display|screen|label|lies|stands|tripod|shelf|hangs|holds|holding|held|desk"
    r"|table|bag|strap|box|printed|readout|camera\s+(?:is|shows|sits))\b",
    re.IGNORECASE,
)
MARK = re.compile(
    r"\b(?:watermark(?:s|ed|ing)?|shutterstock|getty\s?images|alamy|dreamstime|123rf|istock(?:photo)?|depositphotos"
    r"|adobe\s?stock|bigstock|vectorstock|freepik)\b",
    re.IGNORECASE,
)
REAL_MARK = re.compile(
    r"\b(?:banknotes?|bills?|paper|passports?|stamps?|held\s+(?:up\s+)?(?:against|to)|sheets?|stationery"
    r"|certificate)\b",
    re.IGNORECASE,
)
CREDIT = re.compile(
    r"\b(?:photo(?:graph)?|image|picture|artwork|illustration)\s+(?:credit|courtesy|source|copyright)s?\b"
    r"|\bcredit\s*:|\b(?:photo|image|picture)\s+(?:taken\s+)?by\s+(?-i:[A-Z])|\bcourtesy\s+of\b"
    r"|\ball\s+rights\s+reserved\b|©"
    r"|\broyalty[- ]free\b|\bstock\s+(?:photo|image|vector|illustration|footage|photography)\s*\W*\Z"
    r"|\bvia\s+(?:unsplash|pexels|pixabay|wikimedia|flickr|getty)\b|\bon\s+(?:unsplash|pexels|pixabay)\b"
    r"|\bgenerated\s+(?:by|with|using)\s+(?:an?\s+)?(?:ai|chatgpt|gpt|gemini|midjourney|dall|stable\s+diffusion|llm"
    r"|qwen|llava)",
    re.IGNORECASE,
)
BOORU = re.compile(
    r"\b(?:[1-6]\+?(?:girl|boy|other)s?|no\s+humans|looking\s+at\s+viewer|masterpiece|best\s+quality"
    r"|high(?:est)?\s+quality|highly\s+detailed|ultra[- ]?detailed|hyper[- ]?(?:detailed|realistic)|photo-?realistic"
    r"|absurdres|highres|8k|4k|uhd|hdr|trending\s+on\s+artstation"
    r"|octane\s+render|unreal\s+engine|sharp\s+focus|award[- ]winning|score_\d+(?:_up)?|rating\s*:\s*\w+|safe_\w+"
    r"|source_\w+|simple\s+background|cinematic\s+lighting|raw\s+photo|solo|intricate\s+details?|studio\s+lighting"
    r"|depth\s+of\s+field|professional\s+photography|bokeh|upper\s+body|full\s+body|realistic|dslr)\b",
    re.IGNORECASE,
)
SNAKE = re.compile(r"\b[a-z]{2,16}(?:_[a-z]{2,16}){1,3}\b")
# What a text must hold, in lower case, for a look at its sentences to be worth its time.
SIGNS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (pattern, tuple(signs.split("|")))
    for pattern, signs in (
        (
            ALOUD,
            "let's|let’s|let me|let us| i |i'|i’|we |user|wait|hmm|hm,|oh,|step |thinking|thought:|draft|my |caption"
            "|descri|answer|need to|should |must |do not |don't|don’t|never |avoid|please",
        ),
        (
            ASKER,
            "the user|prompt|the request|the query|instruction|guideline|the task|questioner|alt_text|image_url",
        ),
        (
            ALT,
            "alt|accompanying|provided|supplied|original|user|given|associated|source|web|metadata|file|exif",
        ),
        (
            OFFERS,
            "let me know|feel free|hope |would you|do you|anything|happy to|if you|enjoy|thank you|welcome|how does"
            "|i can|want me|shall i|should i|is this|is that|could i|may i|does this",
        ),
        (
            TALKS,
            "caption|descri|response|answer|reply|summary|alt text|alt-text|output|narrative|depiction|analysis"
            "|detail|information|explanation|account|imagin|hallucin|fabricat|made-up|specul|subjective|verified"
            "|extraneous|interpret|assum|based on|based solely|based only|based purely|based entirely|based strictly"
            "|based exclusively|opinion|guess|infer|embellish|context|clue|indication|identity|evidence|content"
            "|fictional|specified|mention|stated|disclosed|determin|identif|ascertain|confirm|verif|deduc|discern"
            "|conclude|establish|not clear|unclear|certain|unknown|evident|hard to|difficult to|prompt|request|quer"
            "|instruct|guideline|requirement|specification|task|criteria|limit|word count|training|text-to|generation"
            "|sfw|safe for"
            "|objective|factual|purely|note|noted|picture!|photo!|image!|shot!|picture.|photo.|what |fictitious"
            "|invented|adheres|faithful|end of|the end|unspecified|undisclosed|possible to|impossible|summar|conclu"
            "|in short",
        ),
        (
            CAMERA,
            "canon|drone|in 4k|in 8k|in raw|nikon|sony|fuji|leica|hasselblad|olympus|pentax|panasonic|dslr|mirrorless"
            "|iphone|kodak|portra|f/|iso|0mm|5mm|0 mm|5 mm|aperture|shutter|focal|exposure|white balance|gps|1/|pixel"
            "|eos ",
        ),
        (
            MARK,
            "watermark|shutterstock|getty|alamy|dreamstime|123rf|istock|depositphotos|adobe|bigstock|vectorstock"
            "|freepik",
        ),
        (
            CREDIT,
            "credit|courtesy|source|copyright|photo by|image by|picture by|taken by|rights reserved|©|royalty|stock"
            "|via |unsplash|pexels|pixabay|generated",
        ),
    )
)
TAG_SIGNS = (
    *(
        "_",
        "quality",
        "masterpiece",
        "4k",
        "8k",
        "hdr",
        "uhd",
        "1girl",
        "1boy",
        "humans",
        "solo",
        "detailed",
        "realistic",
    ),
    *("bokeh", "absurdres", "highres", "artstation", "score", "rating", "girls", "boys"),
)
