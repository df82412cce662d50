"""Pure: a delivery's files into records, columns of marks, refusals and notices. No database, no Django.

`archive.open_delivery` gives the named streams of a folder, a zip or one file; `detect.reader_for` says who can read them; a reader
yields `records.*` in one stream. Nothing read is dropped: it is a record, a refusal with file, line and column, or counted as
not used in a notice.
"""
