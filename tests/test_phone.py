import pytest

from wa_admin import phone


@pytest.mark.parametrize(
    ("typed", "region", "used"),
    [
        ("0812-3456-7890", "ID", "6281234567890"),
        ("+62 812-3456-7890", "BR", "6281234567890"),
        ("0062 812 3456 7890", "ID", "6281234567890"),
        ("6281234567890@s.whatsapp.net", "ID", "6281234567890"),
        ("6281234567890:12@s.whatsapp.net", "ID", "6281234567890"),
        ("81234567890", "ID", "6281234567890"),
        ("62811234567", "ID", "62811234567"),
        ("0811123456", "ID", "62811123456"),
        ("5511998765432", "ID", "5511998765432"),
        ("11998765432", "BR", "5511998765432"),
        ("55991234567", "BR", "5555991234567"),
        ("120363023456789012", "ID", "120363023456789012@g.us"),
        ("628123456789-1487654321", "ID", "628123456789-1487654321@g.us"),
        ("91052067847739@lid", "ID", "91052067847739@lid"),
    ],
)
def test_numbers_are_read_as_people_write_them(app, typed, region, used):
    assert phone.recipient(typed, region).address == used


@pytest.mark.parametrize(
    "typed", ["", "abc", "12", "12345", "1" * 15, "0812<b>", "0812\x00", "x" * 200, "me@example.com"]
)
def test_what_is_no_number_is_refused_with_a_sentence(app, typed):
    with pytest.raises(phone.BadNumber) as refusal:
        phone.recipient(typed, "ID")
    assert str(refusal.value)
