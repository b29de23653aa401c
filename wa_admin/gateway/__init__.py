"""The bundled gateway: a process of its own that holds the WhatsApp connections, in Evolution's dialect.

    HTTP in ─> server ─> supervisor ─ JSON lines ─> child ─> engine ─> WhatsApp
                 │            │ events
               store <─ callbacks (spool) ─> webhooks out, in order, retried

It imports nothing of the panel, so either can restart without the other; they share only how settings are
read, secrets sealed and logs written.
"""
