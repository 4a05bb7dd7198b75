"""The operations of the helper: one file for each subject. helper.py lists all operations."""
