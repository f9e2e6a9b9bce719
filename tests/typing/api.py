"""The public API, used as a user would: mypy checks it, nothing runs it."""
