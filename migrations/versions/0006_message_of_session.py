"""The newest messages of a session"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

# asked for by one query: without it, SQLite takes this index for others that have a better one
ALL = sa.text("id > 0")


def upgrade() -> None:
    # without it, those of one that has not sent for long are sought among all that were sent since
    op.create_index(
        "ix_message_of_session",
        "message",
        ["session_id", "id"],
        sqlite_where=ALL,
        postgresql_where=ALL,
    )


def downgrade() -> None:
    op.drop_index("ix_message_of_session", table_name="message")
