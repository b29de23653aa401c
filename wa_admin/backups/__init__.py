"""Backups: one encrypted file that holds all that cannot be made anew, and how to come back from it.

`envelope` is the encryption, `archive` what lies in it, `snapshot` takes everything while it runs, `making`
writes the file, `restoring` puts everything back.
"""
