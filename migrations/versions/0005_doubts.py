"""Doubts that are looked up"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

LOOKED_UP = sa.text("status = 'uncertain' AND next_at IS NOT NULL")


def upgrade() -> None:
    # those of before are for people to decide
    op.execute("UPDATE message SET next_at = NULL WHERE status = 'uncertain'")
    op.create_index(
        "ix_message_doubt",
        "message",
        ["next_at", "id"],
        sqlite_where=LOOKED_UP,
        postgresql_where=LOOKED_UP,
    )


def downgrade() -> None:
    op.drop_index("ix_message_doubt", table_name="message")
