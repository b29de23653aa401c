"""Which messages have a file"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

WITH_FILE = sa.text("attachment_id IS NOT NULL")


def upgrade() -> None:
    # without it, each file that is dropped is sought among all messages, by the database itself
    op.create_index(
        "ix_message_attachment",
        "message",
        ["attachment_id"],
        sqlite_where=WITH_FILE,
        postgresql_where=WITH_FILE,
    )


def downgrade() -> None:
    op.drop_index("ix_message_attachment", table_name="message")
