"""Messages leaving Firstbell. Today: staff mail about their own accounts, through an outbox that loses nothing.

A message is a row first; the worker sends it under a lease and an idempotency key. Nothing here ever decides to write
to a family.
"""
