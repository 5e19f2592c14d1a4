"""Every screen of the crews' page: accessible, in one language, and usable with a thumb."""

import re

import pytest
from babel.messages.pofile import read_po

from dispatch.crew.pages import LOCALE

from ..support.accessibility import violations
from ..support.browser import Tab
from .screens import SCREENS, open_screen

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.django_db(transaction=True),
]

NARROW = {"width": 320, "height": 568}
PHONE = {"is_mobile": True, "has_touch": True, "viewport": NARROW, "service_workers": "block"}
LIGHT_ENGLISH = {"color_scheme": "light", "locale": "en-US"}
DARK_SPANISH = {"color_scheme": "dark", "locale": "es-MX"}
# The enhanced contrast of WCAG: 7:1 for small text.
CONTRAST = "color-contrast-enhanced"
TARGET = 56

OVERFLOW = "document.documentElement.scrollWidth - innerWidth"
TEXTS = """() => {
  const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = new Set([document.title]);
  while (nodes.nextNode()) {
    const { data, parentElement } = nodes.currentNode;
    if (!parentElement.closest("script")) found.add(data.trim());
  }
  for (const element of document.querySelectorAll("[aria-label]")) found.add(element.ariaLabel);
  return [...found].filter(Boolean);
}"""
SMALL_TARGETS = """(least) => [...document.querySelectorAll("a, button, input, textarea")]
  .filter((element) => element.checkVisibility())
  .map((element) => [element.outerHTML.slice(0, 80), element.getBoundingClientRect()])
  .filter(([, { width, height }]) => Math.min(width, height) < least)
  .map(([html, { width, height }]) => `${html} ${width} x ${height}`)"""
SMALL_FIELDS = """[...document.querySelectorAll("input, textarea, select")]
  .filter((field) => parseFloat(getComputedStyle(field).fontSize) < 16).length"""


@pytest.fixture
def screens(browse):
    """Open every screen in turn, and return a tab for each."""

    def each(options):
        with browse(**PHONE, **options) as first:
            for name in SCREENS:
                tab = Tab(first.page.context, first.url)
                open_screen(tab.page, tab.url, name, options["locale"][:2])
                yield name, tab
                tab.page.close()

    return each


@pytest.mark.parametrize("options", [LIGHT_ENGLISH, DARK_SPANISH], ids=["light", "dark"])
def test_screens_are_accessible_and_fit_a_small_phone(screens, options):
    faults = []
    for name, tab in screens(options):
        faults += [(name, fault) for fault in violations(tab.page, CONTRAST)]
        faults += [(name, fault) for fault in tab.page.evaluate(SMALL_TARGETS, TARGET)]
        if (pixels := tab.page.evaluate(OVERFLOW)) > 0:
            faults.append((name, f"{pixels} px too wide"))
        if tab.page.evaluate(SMALL_FIELDS):
            faults.append((name, "iPhones enlarge the page at this field"))
        faults += [(name, complaint) for complaint in tab.complaints]
    assert faults == []


def catalog():
    with (LOCALE / "es" / "LC_MESSAGES" / "djangojs.po").open("rb") as file:
        return [message for message in read_po(file, locale="es") if message.id]


def pattern(text):
    """A pattern that matches the text with any values."""
    return "".join(
        ".+" if part.startswith("%(") else re.escape(part)
        for part in re.split(r"(%\(\w+\)s)", text)
    )


def is_shown(text, shown):
    """Whole, or as a part of a longer text if it is too long to be there by chance."""
    literal = re.sub(r"%\(\w+\)s", "", text)
    expression = re.compile(pattern(text))
    match = expression.search if len(literal) > 12 else expression.fullmatch
    return any(match(part) for line in shown for part in (line, *re.split(r" · |, |[()]", line)))


def forms(text):
    return text if isinstance(text, tuple) else (text,)


def test_spanish_page_has_no_english_text(screens):
    shown = {text for _, tab in screens(DARK_SPANISH) for text in tab.page.evaluate(TEXTS)}
    english, missing = set(), set()
    for message in catalog():
        same = set(forms(message.id)) & set(forms(message.string))
        english |= {
            text for text in forms(message.id) if text not in same and is_shown(text, shown)
        }
        # Proves that the screens of this test show every text.
        missing |= {text for text in forms(message.string) if not is_shown(text, shown)}
    assert english == set()
    assert missing == set()
