"""After doubt only a gateway that drops what it has seen is asked again, and only for what it drops."""

import pytest

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Attachment, Message, MessageStatus
from wa_admin.services import deliveries

ALL = "list,ids_in_advance"


@pytest.fixture
def left_in_the_middle(make_message):
    """A message whose sending a crash cut short, at a gateway of this kind that offers this."""

    def settle(wa_session, kind, offers, **columns):
        with writing():
            wa_session.gateway.kind, wa_session.gateway.capabilities = kind, offers
        over = clock.now().replace(year=2020)
        message = make_message(
            wa_session, status=MessageStatus.SENDING, attempts=1, lease_until=over, **columns
        )
        deliveries.settle_leases()
        return db.session.get(Message, message.id).status

    return settle


@pytest.fixture
def attachment(app):
    with writing():
        what = {"kind": "image", "mimetype": "image/png", "filename": "x.png"}
        file = Attachment(**what, content=b"x", size_bytes=1, created_at=clock.now())
        db.session.add(file)
    return file.id


@pytest.mark.parametrize(
    ("kind", "offers", "status"),
    [
        ("bundled", ALL, MessageStatus.QUEUED),
        ("waha", ALL, MessageStatus.QUEUED),
        ("waha", "list", MessageStatus.UNCERTAIN),  # an engine that takes no ids
        ("gowa", "list", MessageStatus.UNCERTAIN),
    ],
)
def test_a_text_is_asked_for_again_where_it_is_safe(connected, left_in_the_middle, kind, offers, status):
    assert left_in_the_middle(connected, kind, offers) == status


@pytest.mark.parametrize(
    ("kind", "status"), [("bundled", MessageStatus.QUEUED), ("waha", MessageStatus.UNCERTAIN)]
)
def test_a_file_only_where_it_carries_the_reference_too(
    connected, left_in_the_middle, attachment, kind, status
):
    assert left_in_the_middle(connected, kind, ALL, attachment_id=attachment) == status
