"""Folders as archives: tar in both directions, zip only to read."""
