"""Background work as rows: a job is leased, done, and its lease given back; a crash loses nothing.

`queue.enqueue` puts a job in the same transaction as the deed that needs it. `worker.Worker` leases and runs jobs,
inside `firstbell serve` or as `firstbell worker`. What a kind of job does is registered by the room that owns it, in a
module its app's `ready` imports.

A job may run twice (the worker died, or lost its lease), so what it does must bear that; what is *written down* about it
happens once, by whoever holds the lease.
"""
