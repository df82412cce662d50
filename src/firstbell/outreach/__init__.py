"""Messages leaving Firstbell through an outbox that loses nothing: staff mail about their own accounts, and the letters somebody sends.

A message is a row first; the worker sends it under a lease and an idempotency key. Nothing here ever decides to write
to a family.
"""
