"""The people of the tests: one of each role, who all have this password."""

PASSWORD = "correct horse battery staple"
