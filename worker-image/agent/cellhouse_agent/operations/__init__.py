"""The HTTP operations that gateways may call: one file each, and a row in table.py."""
