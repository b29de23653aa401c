"""Chats are found by names, numbers and words; never those of others, and nothing typed is a query."""

import pytest
from chatting import hear
from sqlalchemy import text

from wa_admin.extensions import db, writing
from wa_admin.models import Chat, Line
from wa_admin.services import chat_search


def texts(sought, **more):
    return [line.text for line, _chat in chat_search.look_for(1, sought, **more).lines]


@pytest.fixture
def heard(connected):
    def tell(*said):
        for number, words in enumerate(said):
            hear(connected, f"{words[:20]}{number}", text=words)

    return tell


def test_words_are_found_whatever_their_order_and_case(heard):
    heard("Saya mau pesan kue lapis", "Kue apa?", "Terima kasih")
    assert texts("LAPIS kue") == ["Saya mau pesan kue lapis"]


def test_the_newest_come_first(heard):
    heard("kue satu", "kue dua", "kue tiga")
    assert texts("kue") == ["kue tiga", "kue dua", "kue satu"]


def test_the_beginning_of_a_word_is_enough_when_nothing_else_fits(heard):
    heard("Pesanan saya belum datang")
    assert texts("pesan") == ["Pesanan saya belum datang"]


def test_a_chat_is_found_by_name_and_by_number_as_it_is_dialled(heard):
    heard("Halo")
    for sought in ("budi", "0811-1000-222", "628111000222", "+62 811"):
        assert [chat.address for chat in chat_search.look_for(1, sought).chats] == ["628111000222"], sought


@pytest.mark.parametrize(
    "sought",
    [
        '"',
        "*",
        "kue OR",
        "NEAR(",
        "text:",
        "'; DROP TABLE chat --",
        "a" * 100,
        "%",
        "_",
        "\\",
        "(",
        "&",
        "|",
        ":*",
    ],
)
def test_what_is_typed_is_never_a_query_of_its_own(heard, sought):
    heard("kue")
    chat_search.look_for(1, sought)


def test_pages_lead_through_all_that_was_found(heard):
    heard(*(f"kue nomor {number}" for number in range(60)))
    first = chat_search.look_for(1, "kue")
    rest = chat_search.look_for(1, "kue", first.older)
    assert len(first.lines) == 50 and len(rest.lines) == 10 and rest.older is None and not rest.chats


def test_nothing_of_another_workspace_is_found(heard):
    heard("kue")
    assert chat_search.look_for(2, "kue").lines == [] and not chat_search.look_for(2, "budi").chats


def test_what_was_erased_or_changed_is_not_found(heard):
    heard("kue lapis", "kue cubit")
    with writing():
        db.session.query(Line).filter_by(text="kue lapis").delete()
        db.session.query(Line).filter_by(text="kue cubit").update({"text": "roti"})
    assert texts("kue") == [] and texts("roti") == ["roti"]


def test_the_search_goes_with_the_chat(heard):
    heard("kue")
    with writing():
        db.session.query(Chat).delete()
    assert texts("kue") == []


def test_a_database_without_an_index_looks_through_the_newest(app, heard, monkeypatch):
    heard("Saya mau pesan kue lapis", "Kue apa?")
    monkeypatch.setattr(chat_search, "_has_index", lambda _engine: False)
    assert texts("lapis KUE") == ["Saya mau pesan kue lapis"]


def test_half_a_history_of_others_hides_nothing(heard, monkeypatch):
    """Hits of other workspaces are looked through, a stretch at a time."""
    monkeypatch.setattr(chat_search, "HITS_LOOKED_THROUGH", 3)
    heard(*(f"kue {number}" for number in range(5)))
    first = chat_search.look_for(1, "kue")
    assert len(first.lines) == 3 and first.older is not None
    assert len(chat_search.look_for(1, "kue", first.older).lines) == 2


def test_the_index_holds_each_line_once(heard):
    if db.engine.dialect.name != "sqlite":
        pytest.skip("only FTS5 is an index of its own")
    heard("kue", "lapis")
    with writing():
        db.session.execute(text("INSERT INTO chat_line_text(chat_line_text) VALUES ('integrity-check')"))
