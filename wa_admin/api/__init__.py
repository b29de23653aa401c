"""The JSON side of the panel: what a call may hold, what it answers, and the document that says so."""
