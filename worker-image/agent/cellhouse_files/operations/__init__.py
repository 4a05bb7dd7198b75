"""What the helper can do: one file for each subject. helper.py lists all operations."""
