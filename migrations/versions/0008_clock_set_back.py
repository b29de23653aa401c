"""When a call or an alert was written"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

TABLES = ("call", "notice")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("written_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "written_at")
