"""Pure: from a register grid to counts, rates, streaks, baselines, breaks and patterns.

`kernel.compute` reads many students in one pass; `metrics` is the only place a rate is made, as an exact fraction; `catalog`
names each signal and says what it means. Nothing here knows a database, an alert or a person.
"""
