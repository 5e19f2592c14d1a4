"""Every text of the crews' page exists in every language."""

from io import BytesIO

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.conf import settings

from dispatch.crew.pages import LOCALE
from dispatch.models import Language

APP = LOCALE.parent
METHODS = [("static/dispatch/crew/**.js", "javascript"), ("crew/pages.py", "python")]
KEYWORDS = {"gettext": None, "ngettext": (1, 2)}
TRANSLATED = [code for code in Language.values if code != Language.ENGLISH]


def catalog_of(language):
    with (LOCALE / language / "LC_MESSAGES" / "djangojs.po").open("rb") as file:
        return read_po(file, locale=language)


def texts_in_use():
    found = extract_from_dir(APP, METHODS, keywords=KEYWORDS)
    return {text for _, _, text, _, _ in found}


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_translated(language):
    catalog = catalog_of(language)
    in_use = texts_in_use()
    translated = {
        message.id
        for message in catalog
        if message.id and not message.fuzzy and all(forms_of(message))
    }
    assert len(in_use) > 100
    assert in_use - translated == set()
    assert translated - in_use == set()


def forms_of(message):
    return message.string if isinstance(message.string, tuple) else (message.string,)


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_have_the_placeholders_of_their_originals(language):
    errors = [
        (message.id, str(error))
        for message, found in catalog_of(language).check()
        for error in found
    ]
    assert errors == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_compiled_catalog_is_up_to_date(language):
    compiled = BytesIO()
    write_mo(compiled, catalog_of(language))
    path = LOCALE / language / "LC_MESSAGES" / "djangojs.mo"
    assert path.read_bytes() == compiled.getvalue()


@pytest.mark.parametrize("language", TRANSLATED)
def test_catalog_view_serves_every_text(client, language):
    catalog = client.get(f"/crew/texts-{language}.json").json()
    texts = {text if isinstance(text, str) else text[0] for text in texts_in_use()}
    assert texts - set(catalog) == set()


def test_plurals_have_the_forms_of_the_language():
    spanish: Catalog = catalog_of(Language.SPANISH)
    assert spanish.num_plurals == len(spanish["%(n)s bike"].string) == 3


def test_console_stays_english(client):
    assert settings.USE_I18N is False
    assert client.get("/crew/texts-en.json").json() == {}
    assert client.get("/crew/texts-xx.json").status_code == 404
