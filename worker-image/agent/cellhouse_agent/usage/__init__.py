"""What the container uses, and what each execution has used."""
