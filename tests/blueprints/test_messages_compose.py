import io

import pytest
from markup import read
from sqlalchemy import select

from wa_admin.extensions import db
from wa_admin.models import Message, Reason, Role, Status

HTMX = {"HX-Request": "true"}
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


def form(client, path="/messages/new"):
    """The fields of the form as a browser would send them back."""
    compose = read(client.get(path).text).one("form", id="compose")
    fields = {one["name"]: one["value"] for one in compose.all("input") if one["type"] != "file"}
    fields |= {one["name"]: one.text for one in compose.all("textarea")}
    for one in compose.all("select"):
        fields[one["name"]] = next(way["value"] for way in one.all("option") if "selected" in way)
    return fields


def send(client, headers=None, fields=None, **values):
    fields = {**(fields or form(client)), "recipient": "0812-9999-8888", "message": "Halo!", **values}
    answer = client.post("/messages/new", data=fields, headers=headers)
    answer.request.input_stream.close()  # a large upload lies in a file, which the test client forgets
    return answer


def sent():
    db.session.rollback()
    return list(db.session.scalars(select(Message).order_by(Message.id)))


def errors(answer):
    return [one.text for one in read(answer.text).all("p", class_="error")]


def test_a_sent_form_ends_at_the_message(admin, connected):
    answer = send(admin)
    (message,) = sent()
    assert (answer.status_code, answer.location) == (303, f"/messages/{message.id}")
    assert (message.recipient, message.body, message.source) == (
        "6281299998888",
        "Halo!",
        "admin@example.com",
    )


def test_htmx_is_sent_to_the_message(admin, connected):
    answer = send(admin, HTMX)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, f"/messages/{sent()[0].id}")


def test_a_second_click_sends_nothing_more(admin, connected):
    fields = form(admin)
    first, second = send(admin, fields=fields), send(admin, fields=fields)
    assert first.location == second.location and len(sent()) == 1


def test_the_same_form_with_another_text_is_another_message(admin, connected):
    fields = form(admin)
    send(admin, fields=fields)
    send(admin, fields=fields, message="And one more thing")
    assert [message.body for message in sent()] == ["Halo!", "And one more thing"]


def test_the_same_words_from_a_new_form_are_a_new_message(admin, connected):
    send(admin)
    send(admin)
    assert len(sent()) == 2


def test_line_ends_of_browsers_become_plain(admin, connected):
    send(admin, message="One\r\nTwo")
    assert sent()[0].body == "One\nTwo"


@pytest.mark.parametrize(
    "values, said",
    [
        ({"recipient": ""}, "Enter a phone number."),
        ({"recipient": "12"}, "too few or too many digits"),
        ({"recipient": "<b>x</b>"}, "is not a phone number"),
        ({"recipient": "0" * 500}, "too long"),
        ({"message": "  \n "}, "Write a text, or attach a file."),
        ({"message": "x" * 4097}, "4096 characters at most"),
        ({"message": "a\x07b"}, "control characters"),
        ({"valid_for_seconds": "7"}, "Choose one of the list."),
        ({"recipient": (io.BytesIO(PNG), "cat.png")}, "Enter a phone number."),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_sent(admin, connected, values, said):
    answer = send(admin, **values)
    assert answer.status_code == 422 and sent() == []
    assert len(errors(answer)) == 1 and said in errors(answer)[0]


def test_all_that_is_wrong_is_said_at_once(admin, connected):
    assert len(errors(send(admin, recipient="12", message=" "))) == 2


def test_an_error_loses_nothing_that_was_typed(admin, connected):
    page = read(send(admin, recipient="12", message="<b>Kept</b> 🙂").text)
    assert page.one("input", id="recipient")["value"] == "12"
    assert page.one("textarea", id="message").text == "<b>Kept</b> 🙂"


def test_htmx_gets_the_form_alone_and_hears_the_error(admin, connected):
    answer = send(admin, HTMX, recipient="12")
    fragment = read(answer.text)
    assert answer.status_code == 422 and not fragment.all("html")
    assert "digits" in fragment.one("p", id="status").text


def test_a_picture_goes_with_its_text(admin, connected):
    send(admin, media=(io.BytesIO(PNG), "cat.png"))
    attachment = sent()[0].attachment
    assert (attachment.kind, attachment.filename, attachment.mimetype) == ("image", "cat.png", "image/png")


def test_a_file_needs_no_text(admin, connected):
    send(admin, message="", media=(io.BytesIO(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), "invoice.pdf"))
    assert sent()[0].attachment.kind == "document"


@pytest.mark.parametrize(
    "content, name, said",
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'></svg>", "cat.png", "Files of this type cannot be sent."),
        (b"MZ\x90\x00\x03\x00\x00\x00", "invoice.pdf", "Files of this type cannot be sent."),
        (b"", "empty.pdf", "The file is empty."),
        (PNG + b"\0" * (16 * 1024 * 1024), "large.png", "16 MB at most"),
    ],
)
def test_a_file_is_judged_by_its_bytes(admin, connected, content, name, said):
    answer = send(admin, media=(io.BytesIO(content), name))
    assert sent() == [] and said in errors(answer)[0]


def test_a_test_goes_to_ones_own_number(admin, connected):
    fields = form(admin, "/messages/new?test=1")
    assert fields["recipient"] == "+62 812-3456-7890" and fields["message"]


def test_a_test_of_one_of_several_sessions_goes_from_it_to_its_own_number(admin, connected, make_session):
    other = make_session("Sales", linked_number="6281298765432")
    page = read(admin.get(f"/sessions/{other.id}").text)
    (link,) = [one["href"] for one in page.all("a") if one.text == "Send a test"]
    fields = form(admin, link)
    assert fields["recipient"] == "+62 812-9876-5432" and fields["session_id"] == str(other.id)


def test_a_correction_leaves_from_where_the_earlier_message_did(admin, connected, make_session, make_message):
    message = make_message(make_session("Sales"))
    assert form(admin, f"/messages/new?copy_of={message.id}")["session_id"] == str(message.session_id)


def test_a_session_that_is_not_there_cannot_be_chosen(admin, connected):
    assert admin.get("/messages/new?session=99").status_code == 404


def test_a_correction_starts_from_the_earlier_message(admin, connected, make_message):
    message = make_message(connected, body="Promo")
    fields = form(admin, f"/messages/new?copy_of={message.id}")
    assert (fields["recipient"], fields["message"]) == ("+62 812-9999-8888", "Promo")


def test_a_correction_says_that_the_file_is_to_be_attached_again(admin, connected, make_message):
    send(admin, media=(io.BytesIO(PNG), "cat.png"))
    page = read(admin.get(f"/messages/new?copy_of={sent()[0].id}").text)
    assert "“cat.png”" in page.one("div", class_="tone-warn").text


def test_one_session_is_not_asked_for(admin, connected):
    assert "session_id" not in {one["name"] for one in read(admin.get("/messages/new").text).all("select")}


def test_of_several_sessions_one_is_chosen(admin, connected, make_session):
    other = make_session("Sales")
    send(admin, session_id=other.id)
    assert sent()[0].session_id == other.id


def test_an_inactive_session_is_refused_beside_its_field(admin, connected, make_session):
    other = make_session("Sales", is_active=False)
    answer = send(admin, session_id=other.id)
    assert sent() == [] and "“Sales” is switched off" in errors(answer)[0]


def test_the_form_says_when_the_message_will_wait(admin, make_session):
    make_session(status=Status.DISCONNECTED, reason=Reason.NETWORK)
    page = read(admin.get("/messages/new").text)
    assert "the message waits" in page.one("div", class_="notice").text
    assert send(admin).status_code == 303


def test_without_a_session_there_is_no_form(admin):
    page = read(admin.get("/messages/new").text)
    assert not page.all("form", id="compose") and page.one("div", class_="empty").one("a")["href"] == "/"


def test_it_is_worth_sending_for_as_long_as_was_chosen(admin, connected):
    send(admin, valid_for_seconds="300")
    message = sent()[0]
    assert (message.valid_until - message.created_at).total_seconds() == 300


def test_a_supervisor_does_not_send(signed_in, connected):
    client = signed_in(Role.SUPERVISOR)
    assert client.get("/messages/new").status_code == 403
    assert client.post("/messages/new", data={"recipient": "0812-9999-8888"}).status_code == 403
    assert sent() == []
