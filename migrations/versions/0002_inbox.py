"""Webhooks of gateways are stored before they are answered"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

UNREAD = sa.text("sealed_body IS NOT NULL AND parked_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "hook_call",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("gateway_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("sealed_body", sa.Text(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error_code", sa.String(length=60), nullable=True),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["gateway_id"], ["gateway.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("gateway_id", "digest", name="uq_hook_call"),
    )
    op.create_index(
        "ix_hook_call_unread",
        "hook_call",
        ["gateway_id", "id"],
        sqlite_where=UNREAD,
        postgresql_where=UNREAD,
    )
    op.create_index("ix_hook_call_received", "hook_call", ["received_at"])


def downgrade() -> None:
    op.drop_table("hook_call")
