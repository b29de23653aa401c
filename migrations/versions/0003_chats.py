"""What people write back"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# finds words in chat_line.text, and is kept up by the database itself
SEARCH = {
    "sqlite": [
        "CREATE VIRTUAL TABLE chat_line_text USING fts5(text, content='chat_line', content_rowid='id', "
        "tokenize='unicode61 remove_diacritics 2')",
        "CREATE TRIGGER chat_line_text_in AFTER INSERT ON chat_line WHEN new.text <> '' BEGIN "
        "INSERT INTO chat_line_text(rowid, text) VALUES (new.id, new.text); END",
        "CREATE TRIGGER chat_line_text_out AFTER DELETE ON chat_line WHEN old.text <> '' BEGIN "
        "INSERT INTO chat_line_text(chat_line_text, rowid, text) VALUES ('delete', old.id, old.text); END",
        "CREATE TRIGGER chat_line_text_changed AFTER UPDATE OF text ON chat_line BEGIN "
        "INSERT INTO chat_line_text(chat_line_text, rowid, text) SELECT 'delete', old.id, old.text "
        "WHERE old.text <> ''; "
        "INSERT INTO chat_line_text(rowid, text) SELECT new.id, new.text WHERE new.text <> ''; END",
    ],
    "postgresql": [
        "CREATE INDEX chat_line_text ON chat_line USING gin (to_tsvector('simple', text))",
    ],
}


def upgrade() -> None:
    op.create_table(
        "bookmark",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "contact",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=True),
        sa.Column("lid", sa.String(length=64), nullable=True),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("workspace_id", "lid", name="uq_contact_lid"),
        sa.UniqueConstraint("workspace_id", "phone", name="uq_contact_phone"),
    )
    op.create_table(
        "chat",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=True),
        sa.Column("session_name", sa.String(length=80), nullable=False),
        sa.Column("address", sa.String(length=128), nullable=False),
        sa.Column("contact_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("name_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unread_count", sa.Integer(), nullable=False),
        sa.Column("last_text", sa.String(length=200), nullable=False),
        sa.Column("last_kind", sa.String(length=20), nullable=False),
        sa.Column("last_from_me", sa.Boolean(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"]),
        sa.ForeignKeyConstraint(["session_id"], ["whatsapp_session.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("session_id", "address", name="uq_chat"),
    )
    op.create_index("ix_chat_contact_id", "chat", ["contact_id"])
    op.create_index("ix_chat_list", "chat", ["workspace_id", "last_at", "id"])
    op.create_index(
        "ix_chat_unread",
        "chat",
        ["workspace_id", "last_at", "id"],
        sqlite_where=sa.text("unread_count > 0"),
        postgresql_where=sa.text("unread_count > 0"),
    )
    op.create_index(
        "ix_chat_nameless",
        "chat",
        ["id"],
        sqlite_where=sa.text("contact_id IS NULL AND name = ''"),
        postgresql_where=sa.text("contact_id IS NULL AND name = ''"),
    )
    op.create_table(
        "chat_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("chat_id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=True),
        sa.Column("provider_id", sa.String(length=128), nullable=True),
        sa.Column("contact_id", sa.Integer(), nullable=True),
        sa.Column("from_me", sa.Boolean(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("quoted", sa.String(length=300), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["chat_id"], ["chat.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"]),
        sa.ForeignKeyConstraint(["session_id"], ["whatsapp_session.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("session_id", "provider_id", name="uq_chat_line"),
    )
    op.create_index("ix_chat_line", "chat_line", ["chat_id", "id"])
    op.create_index("ix_chat_line_contact_id", "chat_line", ["contact_id"])
    op.create_table(
        "incoming_file",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("filename", sa.String(length=120), nullable=False),
        sa.Column("mimetype", sa.String(length=120), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=True),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("attachment_id", sa.Integer(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'kept', 'too_large', 'refused', 'failed', 'dropped')",
            name="ck_incoming_file_state",
        ),
        sa.ForeignKeyConstraint(["attachment_id"], ["attachment.id"]),
        sa.ForeignKeyConstraint(["line_id"], ["chat_line.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["session_id"], ["whatsapp_session.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("line_id", name="uq_incoming_file"),
    )
    op.create_index("ix_incoming_file_attachment_id", "incoming_file", ["attachment_id"])
    op.create_index(
        "ix_incoming_file_due",
        "incoming_file",
        ["next_at", "id"],
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    if _has_search():
        for statement in SEARCH[op.get_bind().dialect.name]:
            op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE IF EXISTS chat_line_text")
    for table in ("incoming_file", "chat_line", "chat", "contact", "bookmark"):
        op.drop_table(table)


def _has_search() -> bool:
    """A SQLite may have been built without FTS5: then a search looks through the newest lines."""
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        return True
    return bool(bind.scalar(sa.text("SELECT sqlite_compileoption_used('ENABLE_FTS5')")))
