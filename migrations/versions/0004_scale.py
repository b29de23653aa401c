"""Several machines on one PostgreSQL"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _number_rows_with("BIGINT")


def downgrade() -> None:
    _number_rows_with("INTEGER")


def _number_rows_with(kind: str) -> None:
    """An INTEGER of PostgreSQL ends at two thousand million rows; SQLite's has 64 bits anyway."""
    if op.get_bind().dialect.name != "postgresql":
        return
    inspector = sa.inspect(op.get_bind())
    for table in inspector.get_table_names():
        numbers = {one["name"] for one in inspector.get_columns(table) if isinstance(one["type"], sa.Integer)}
        keys = set(inspector.get_pk_constraint(table)["constrained_columns"])
        for reference in inspector.get_foreign_keys(table):
            keys |= set(reference["constrained_columns"])
        if changes := [f'ALTER COLUMN "{name}" TYPE {kind}' for name in sorted(numbers & keys)]:
            op.execute(f'ALTER TABLE "{table}" {", ".join(changes)}')
    for sequence in inspector.get_sequence_names():
        op.execute(f'ALTER SEQUENCE "{sequence}" AS {kind}')
