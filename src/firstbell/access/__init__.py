"""Who may see what, and why; the audit of who did.

`policy` is the one choke point: `students_for(user)`, `why(user, student)`, `may(user, deed)`. `scoped` makes managers
raise when used without it. `audit` appends to a hash-chained log. `middleware.Gate` refuses any URL whose view states no
policy. Sign-in itself is django-allauth's.
"""
