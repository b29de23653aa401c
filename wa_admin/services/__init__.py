"""Verbs: they own the transaction, keep the invariants, and are the only callers of drivers."""
