"""The facts: schools, calendars, students, enrolments, marks; and the register grid made of them.

Begin at `marks` (what one square says), `grid` (the picture of many), `fold` (how events become squares). `actions` holds
the deeds that write (`record_marks`, `take_roll`, `change_calendar`), `rows` the queries that read grids, as stored or as
known on a past day. Marks are never overwritten. This room knows nothing of alerts, law or pages.
"""
