"""Commands: code for a shell, each in processes of its own."""
