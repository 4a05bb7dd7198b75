"""Folders as archives: a folder can be read as tar or zip, and be written from tar."""
