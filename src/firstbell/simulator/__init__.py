"""Pure: a made-up district that behaves like one, written as the files a district would export.

`calendars` makes the school years, `people` the schools, families and classes, `behaviour` who misses what, `district` all of these in
memory, `history` what was written down when, `export` the files. Begin with `export.make_district`. For demonstration, load and tests: a
model's result on it is a result on a simulation, and is said so. The facts it reproduces, each with its source and tolerance, are in
tests/simulator/test_facts.py.
"""
