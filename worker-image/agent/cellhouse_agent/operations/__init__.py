"""What gateways may ask of this agent by calls of their own: one file each, and a row in table.py."""
