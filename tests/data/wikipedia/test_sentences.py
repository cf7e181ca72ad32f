"""Text is split where sentences end, and nothing of it is lost."""

from bertkit.data.wikipedia.sentences import sentences_of


def test_abbreviations_initials_and_numbers_end_no_sentence():
    text = (
        "He met Dr. J. Smith (b. 1920) at 5 p.m. in the U.S. in Jan. 1990. It cost $3.5 million, "
        "e.g. for Mr. Brown vs. the Board. Was it so? Yes! The end."
    )
    assert sentences_of(text) == [
        "He met Dr. J. Smith (b. 1920) at 5 p.m. in the U.S. in Jan. 1990.",
        "It cost $3.5 million, e.g. for Mr. Brown vs. the Board.",
        "Was it so?",
        "Yes!",
        "The end.",
    ]


def test_the_text_stands_in_the_sentences_as_it_was():
    text = "It isn't can't-do \u2013 \u201cquoted\u201d \u00e9t\u00e9. And 3,000; don't you see? No"
    assert " ".join(sentences_of(text)) == text


def test_what_has_no_letter_is_no_sentence():
    assert sentences_of("") == []
    assert sentences_of(" ... !") == []
