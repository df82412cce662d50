"""The teacher's page: the roll, on a phone, in a minute."""
