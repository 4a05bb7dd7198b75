"""What the helper can do: one file for each subject, and a row in helper.py."""
