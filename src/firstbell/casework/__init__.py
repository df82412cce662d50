"""The law's steps, as people take them: which pack a district goes by, where a student stands, what was done, what comes next.

`adopted` says which packs are in force here; `standing` asks the law about one student of the register; `firings` does it for
everybody at night and keeps what was reached, and what a corrected mark has undone; `done` records what people did.
Nothing here sends, signs or files by itself.
"""
