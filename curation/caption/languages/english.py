"""English. What the checks know of it in detail stands in ``curation.caption.check``, to which these files are kin."""

from __future__ import annotations

from curation.caption.languages.language import Language, words

LANGUAGE = Language(
    code="en",
    names=("English", "inglese", "Englisch", "anglais", "inglés", "American English", "British English", "eng"),
    scripts=("latin",),
    function_words=words(
        "the a an and with of which its from their into behind beside while each two three in on at is are by to for his"
        " her as or it he she they one has over under near that this there"
    ),
)
