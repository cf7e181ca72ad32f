"""A page becomes prose without markup."""

import pytest

from bertkit.data.samples import sources
from bertkit.data.wikipedia.blocks import pages_between
from bertkit.data.wikipedia.pages import articles_in, no_pages
from bertkit.data.wikipedia.wikitext import plain_text

LONG = "This sentence is long enough to be kept as prose"


def text_of(wikitext):
    """The one paragraph that *wikitext* between two halves of a sentence leaves."""
    (paragraph,) = plain_text(f"{LONG} {wikitext} end.")
    return paragraph[len(LONG) : -len("end.")].strip()


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("'''bold''' and ''italic'' and '''''both'''''", "bold and italic and both"),
        ("[[Anarchism]]", "Anarchism"),
        ("[[Anarchism|the anarchists]]' [[cat]]s", "the anarchists' cats"),
        ("[[File:A.jpg|thumb|A caption with a [[link|nested link]] in it]]", ""),
        ("[[Category:Words]][[fr:Mot]][[File: B.jpg|thumb|A caption: here]]", ""),
        ("[[:Category:Words|the category]]", "the category"),
        ("[[Star Trek: Voyager]]", "Star Trek: Voyager"),
        ("[http://example.org/x the label] and [https://example.org]", "the label and"),
        ("see https://example.org/page?a=b&c=d now", "see now"),
        ("{{cite book|title=A {{nested|one}} B}}", ""),
        ("{{convert|55|km|mi}} and {{convert|55|to|80|cm|abbr=on}}", "55 km and 55 to 80 cm"),
        ("{{convert|35|C|F}}, {{convert|9|sqmi}}", "35 \u00b0C, 9 square miles"),
        ("{{lang|fr|bonjour}}{{spaced ndash}}{{nowrap|10 m}}", "bonjour \u2013 10 m"),
        ("a<ref>A note, [[linked]].</ref> b<ref name=x/> c<ref name='y'>z</ref>", "a b c"),
        ("a<!-- a comment\nover lines -->b", "ab"),
        ("H<sub>2</sub>O, <small>small</small>", "H2O, small"),
        ("one<br/>two<br>three", "one two three"),
        ("<math>x < y</math>, thus", ", thus"),
        ("&nbsp;R&amp;D &ndash; &eacute;t&eacute; &lt;b&gt;", "R&D \u2013 \u00e9t\u00e9 <b>"),
        ("Athens ({{lang-el|x}}; , ) is (, old) .", "Athens is (old)."),
        ("__NOTOC__", ""),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
        ("an unclosed {{template and [[link", "an unclosed template and link"),
        ("a stray }} and ]] bracket", "a stray and bracket"),
        ("an unclosed <ref>note that never ends", "an unclosed note that never ends"),
    ],
)
def test_markup_leaves_its_text(wikitext, text):
    assert text_of(wikitext) == text


def test_tables_lists_headings_and_appendices_are_left_out():
    page = "\n".join(
        [
            "{{Infobox|a=b", "|c=[[d]]", "}}", f"{LONG} one.", "== Heading ==", f"{LONG} two.",
            '{| class="wikitable"', "|-", "| a cell that is long enough for prose to be kept here.",
            "{|", "| a table in the table, also long enough to be kept.", "|}", "|}",
            f"* {LONG} item.", f"# {LONG} item.", f":* {LONG} item.", "Too short.",
            "== See also ==", f"{LONG} hidden.", "=== Below it ===", f"{LONG} hidden too.",
            "== Next ==", f"{LONG} three.", "==References==", f"{LONG} hidden.",
        ]
    )  # fmt: skip
    assert plain_text(page) == [f"{LONG} one.", f"{LONG} two.", f"{LONG} three."]


def test_lines_without_an_empty_one_between_them_are_one_paragraph():
    page = f"{LONG}, the words of\nwhich go\non here. Then\n\n{LONG}.\n== Heading ==\n{LONG} two."
    assert plain_text(page) == [
        f"{LONG}, the words of which go on here.", f"{LONG}.", f"{LONG} two.",
    ]  # fmt: skip


def test_indented_lines_are_quotations_by_themselves_unless_they_point_elsewhere():
    page = "\n".join(
        [f"{LONG}:", f":''{LONG} quoted.''", f"::{LONG} in it.", f"{LONG} behind it.",
         f":''For other uses, see [[Word]]. {LONG}.''", f":See also: [[{LONG}]]."]
    )  # fmt: skip
    assert plain_text(page) == [
        f"{LONG}:", f"{LONG} quoted.", f"{LONG} in it.", f"{LONG} behind it.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "template", ["{{quote|%s.|A. Writer}}", "{{Blockquote|text=%s.|author=A}}", "{{quote|1=%s.}}"]
)
def test_quotations_in_templates_are_paragraphs(template):
    page = f"{LONG} one:\n{template % LONG}\n{LONG} two."
    assert plain_text(page) == [f"{LONG} one:", f"{LONG}.", f"{LONG} two."]


@pytest.mark.parametrize("rest", ["which", "[http://a.org", "{{cite|x=", "are as of\n* an item."])
def test_a_paragraph_goes_to_its_last_whole_sentence(rest):
    assert plain_text(f"{LONG}. And {rest}") == [f"{LONG}."]
    assert plain_text(f"A caption that is not marked as one, and {rest}") == []


@pytest.mark.parametrize(
    "piece",
    [
        "{{",
        "[[",
        "}}",
        "<ref>",
        "</ref>",
        "<ref ",
        "<!--",
        "{|\n",
        "[http://a ",
        "(",
        "= ",
        "&",
        "''",
        ". ",
        '."',
        "a\n",
        ":\n",
    ],
)
def test_thirty_thousand_pieces_of_markup_are_read_in_one_pass(piece):
    plain_text(f"{LONG} {piece * 30_000} end.")  # the suite's time limit is the test
    plain_text(f"{LONG}\n={piece * 30_000} end.")


def test_brackets_that_never_close_cost_nothing_at_each_that_closes_another():
    plain_text("{{" * 30_000 + "]]" * 30_000)
    plain_text("[[" + "{{" * 30_000 + "]] [[" * 30_000)
    plain_text("= " + " " * 30_000 + "x =\n" + "\t" * 30_000)


def test_the_real_sample_has_no_markup_left():
    dump = sources.sample_dump()
    found = [
        article
        for _, xml in pages_between(dump, 0, dump.stat().st_size)
        for article in articles_in(xml, no_pages())
    ]
    assert len(found) > 100
    text = "\n".join(p for article in found for p in article.paragraphs)
    assert len(text) > 2_550_000
    for mark in ("[[", "]]", "{{", "}}", "{|", "''", "<ref", "<br", "&nbsp;", "&amp;", "http://"):
        assert text.count(mark) <= 3, mark
    assert found[0].title == "Anarchism"
    assert found[0].paragraphs[0].startswith("Anarchism is a political philosophy that")
