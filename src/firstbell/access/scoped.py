"""Managers that refuse to be used unscoped: every read of a student's data says for whom, or why for nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from firstbell.access.models import User


class UnscopedQuery(RuntimeError):
    """A query over students was started without saying who is asking."""


class ScopedManager(models.Manager[Any]):
    """The default manager of everything that belongs to a student.

    Right:           MarkEvent.objects.for_user(request.user)
                     MarkEvent.objects.system("nightly pass")      # the program itself, never a page
                     student.enrolments.all()                      # you already hold the student
    Instead of:      MarkEvent.objects.all(), .filter(…), .get(…)  # raises UnscopedQuery
                     school.enrolments.all()                       # so does this: a school is not a reader

    `student_path` is the lookup from the model to its student ("" for Student itself).
    """

    def __init__(self, student_path: str = "") -> None:
        super().__init__()
        self.student_path = student_path

    def get_queryset(self) -> models.QuerySet[Any]:
        holder = getattr(self, "instance", None)
        if holder is not None and isinstance(type(holder)._default_manager, ScopedManager):
            return super().get_queryset()  # reached through a student's own object, which somebody was given
        raise UnscopedQuery(
            f"{self.model.__name__} was queried without a reader. Use .for_user(user), or .system(why) in code that "
            "answers to nobody."
        )

    def for_user(self, user: User) -> models.QuerySet[Any]:
        """Only what `user` may see today; `access.policy.students_for` decides."""
        from firstbell.access.policy import students_for

        students = students_for(user)
        if not self.student_path:
            return students
        return super().get_queryset().filter(**{f"{self.student_path}__in": students})

    def system(self, why: str) -> models.QuerySet[Any]:
        """Everything, for code that serves no reader (the nightly pass, an import). `why` is for whoever reads it."""
        if not why:
            raise UnscopedQuery(f"{self.model.__name__}.objects.system() needs the reason in words")
        return super().get_queryset()
