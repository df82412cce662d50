"""The model card's own words: what a forecast is for, what it reads, what is known to go wrong. They stand on the page and in every model's file."""

from __future__ import annotations

from firstbell.said import said

__all__ = ["GOES_WRONG", "IS_FOR", "IS_NOT_FOR", "READS"]

IS_FOR = (
    said(
        "To put before a person, in time to help, the few students who may reach a line of the law or miss a tenth of the year."
    ),
    said("To say in words how near that is, with the days behind it, and how it went for students like this."),
)
IS_NOT_FOR = (
    said("Never to decide anything, start a step of the law, or write to a family. A person does."),
    said("Not to rate students, teachers or schools, and not for anything but attendance."),
    said("Not to say why a student is away. Ask."),
)
READS = said(
    "A student’s own marks, the days enrolled and the grade; this year and last. Nothing of sex, origin, language, disability, income, address or family."
)
GOES_WRONG = (
    said(
        "A sudden break cannot be foreseen, only seen within days. A student with no absences is told clear until then."
    ),
    said(
        "In the first 15 days of a student’s enrolment, when marks are stale or missing, and on a day many were away, it says that it can’t tell yet."
    ),
    said("Marks corrected weeks later move chances back and forth, more where a school explains late."),
    said(
        "Where somebody helped, the line may not be reached because of it: an alert that came to nothing is not always a false one. The 20 school days after somebody acted are neither learned from nor judged."
    ),
    said("A new code, a new school or a changed rule for excuses is learned only when a year with it has closed."),
)
