"""Whatever a person can meet has its words."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from wa_admin import clock, moments, words
from wa_admin.drivers import DRIVERS, contract
from wa_admin.models import Look, MessageStatus, Reason, Role

ICONS = (Path(__file__).parent.parent / "static" / "img" / "icons.svg").read_text()


def family(error):
    return [error, *(one for child in error.__subclasses__() for one in family(child))]


@pytest.fixture
def reading(app):
    """Somebody in Jakarta reads English."""
    with app.test_request_context(headers={"Cookie": "__Host-wa_time_zone=Asia%2FJakarta"}):
        yield


@pytest.mark.parametrize("look", Look)
def test_every_look_has_shape_colour_word_and_sentence(look):
    shown = words.LOOKS[look]
    assert f'id="{shown.icon}"' in ICONS
    assert shown.tone in ("ok", "warn", "bad", "mute", "brand") and shown.word and shown.what


def test_only_connected_is_green():
    assert [look for look, shown in words.LOOKS.items() if shown.tone == "ok"] == [Look.CONNECTED]


def test_looks_differ_in_more_than_colour():
    assert len({shown.word for shown in words.LOOKS.values()}) == len(Look)


@pytest.mark.parametrize("status", MessageStatus)
def test_every_status_of_a_message_has_its_words(status):
    shown = words.message_words(status)
    assert f'id="{shown.icon}"' in ICONS and shown.what


def test_every_reason_and_role_has_its_words():
    assert set(words.REASONS) == set(Reason) and set(words.ROLES) == set(Role)


def test_every_kind_of_gateway_has_its_word():
    assert set(DRIVERS) <= set(words.GATEWAYS)


@pytest.mark.parametrize("error", family(contract.GatewayError), ids=lambda error: error.code)
def test_every_trouble_with_a_gateway_has_cause_and_next_step(reading, error):
    cause, step = words.error_words(error.code)
    assert cause.endswith(".") and step.endswith(".")


def test_no_sentence_shouts_or_names_a_code():
    sentences = [str(text) for shown in words.LOOKS.values() for text in (shown.word, shown.what, shown.next)]
    sentences += [str(text) for pair in words.ERRORS.values() for text in pair]
    plain = [re.sub(r"%\(\w+\)s", "", text) for text in sentences]
    assert [text for text in plain if "!" in text or re.search(r"[Ee]rror|[a-z]_[a-z]", text)] == []


def test_every_icon_of_a_template_is_in_the_sprite():
    templates = Path(__file__).parent.parent.joinpath("templates").rglob("*.html")
    used = {name for path in templates for name in re.findall(r'icon\("([a-z-]+)"', path.read_text())}
    assert {name for name in used if f'id="{name}"' not in ICONS} == set()


# --- language and zone ---------------------------------------------------------------------------


@pytest.fixture
def translated(app, tmp_path):
    """Catalogues of two more languages lie there."""
    for code in ("id", "pt_BR"):
        catalogue = tmp_path / "translations" / code / "LC_MESSAGES" / "messages.mo"
        catalogue.parent.mkdir(parents=True)
        catalogue.touch()
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(tmp_path / "translations")
    return app


@pytest.mark.parametrize(
    ("wished", "cookie", "language"),
    [
        ("fr, pt-BR;q=0.8, en;q=0.5", "", "pt_BR"),
        ("pt-BR", "__Host-wa_language=id", "id"),
        ("fr", "__Host-wa_language=xx", "en_GB"),
        ("", "", "en_GB"),
    ],
)
def test_the_language_is_that_of_the_cookie_then_of_the_browser(translated, wished, cookie, language):
    with translated.test_request_context(headers={"Accept-Language": wished, "Cookie": cookie}):
        assert str(words.locale()) == language


def test_a_language_without_catalogue_is_not_offered(app):
    with app.test_request_context(headers={"Cookie": "__Host-wa_language=fr"}):
        assert str(words.locale()) == "en_GB" and "fr" not in words.languages()


def test_times_are_those_of_the_reader(reading):
    assert str(words.time_zone()) == "Asia/Jakarta"


@pytest.mark.parametrize("cookie", ["Nowhere%2FLand", "..%2F..%2Fetc", "%00", ""])
def test_an_odd_zone_means_utc(app, cookie):
    with app.test_request_context(headers={"Cookie": f"__Host-wa_time_zone={cookie}"}):
        assert str(words.time_zone()) == "UTC"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (44, "44 s ago"), (180, "3 min ago"), (7200, "2 h ago"), (260_000, "3 d ago")],
)
def test_ages_are_short(reading, seconds, text):
    assert f">{text}</time>" in moments.ago(clock.now() - timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (20, "20 s"),
        (2880, "48 min"),
        (6000, "1 h 40 min"),
        (7200, "2 h"),
        (273_600, "3 d 4 h"),
        (172_850, "2 d"),
    ],
)
def test_spans_keep_their_two_largest_units(reading, seconds, text):
    assert moments.span(seconds) == text


def test_a_moment_of_another_day_names_it(reading):
    assert re.fullmatch(r"\d+ \w+( \d{4})?, \d\d:\d\d", moments.at(clock.now() - timedelta(days=3)))


@pytest.mark.parametrize(
    ("name", "letters"), [("Sari Dewi", "SD"), ("sari", "S"), ("", "?"), ("A b C", "AC")]
)
def test_initials(name, letters):
    assert words.initials(name) == letters


def test_numbers_and_groups_are_for_reading(reading):
    assert words.readable_phone("6281234567890") == "+62 812-3456-7890"
    assert words.readable_phone("120363023456789012@g.us") == "Group 120363023456789012"
