"""Watchers of folders: each tells what has changed in its folder since it was asked last."""
