"""The newest messages of a session"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    # without it, those of one that has not sent for long are sought among all that were sent since
    op.create_index("ix_message_of_session", "message", ["session_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_message_of_session", table_name="message")
