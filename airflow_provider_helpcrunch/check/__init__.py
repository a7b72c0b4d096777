"""Check of an account: what HelpCrunch's documentation leaves open, as this account answers it."""
