"""The choke point: whom a user may see, why, and what they may do. Every page asks here and nowhere else.

Right:           student = access.get_student(request.user, pk)      # 404 and an audit line for somebody else's
                 Alert.objects.for_user(request.user)
Instead of:      Student.objects.get(pk=pk); if user.role == …       # a rule of its own, sooner or later wrong
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from firstbell import clock
from firstbell.access import audit
from firstbell.access.models import Assignment, Role, User

if TYPE_CHECKING:
    from firstbell.register.models import School, Section, Student


class Deed(StrEnum):
    """What a page lets somebody do. A view names its deed; `DEEDS` says which roles may."""

    SEE_TODAY = "see_today"
    SEE_STUDENT = "see_student"
    GIVE_VERDICT = "give_verdict"
    TAKE_ROLL = "take_roll"
    BRING_DATA = "bring_data"
    SEE_SCHOOLS = "see_schools"


DEEDS: dict[Deed, frozenset[Role]] = {
    Deed.SEE_TODAY: frozenset({Role.OFFICER, Role.SCHOOL_LEAD}),
    Deed.SEE_STUDENT: frozenset({Role.OFFICER, Role.SCHOOL_LEAD, Role.TEACHER}),
    Deed.GIVE_VERDICT: frozenset({Role.OFFICER, Role.SCHOOL_LEAD}),
    Deed.TAKE_ROLL: frozenset({Role.TEACHER}),
    Deed.BRING_DATA: frozenset({Role.DATA_STEWARD}),
    Deed.SEE_SCHOOLS: frozenset({Role.DISTRICT_LEAD}),
}

#: Roles that see the students of their schools. A district lead sees schools, a data steward sees deliveries.
SCHOOL_ROLES = (Role.OFFICER, Role.SCHOOL_LEAD)

#: after a student leaves, their last school's people keep no view: out the same day (abuse test 11)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a user may see a student, in words for the page."""

    role: Role
    words: str


def today() -> date:
    """The date for assignments and enrolments: the district's own clock."""
    from firstbell.register.models import District

    district = District.objects.only("time_zone").first()
    from zoneinfo import ZoneInfo

    return clock.today(ZoneInfo(district.time_zone if district else "UTC"))


def assignments(user: User, *, on: date | None = None) -> QuerySet[Assignment]:
    """The roles a user holds today."""
    if not user.is_authenticated or not user.is_active:
        return Assignment.objects.none()
    day = on or today()
    return Assignment.objects.filter(Q(ends=None) | Q(ends__gte=day), user=user, starts__lte=day)


def roles(user: User) -> frozenset[Role]:
    cached: frozenset[Role] | None = getattr(user, "_roles_held", None)
    if cached is None:
        cached = frozenset(Role(role) for role in assignments(user).values_list("role", flat=True))
        user._roles_held = cached  # type: ignore[attr-defined]  # for this request: the user object lives no longer
    return cached


def may(user: User, deed: Deed) -> bool:
    return bool(roles(user) & DEEDS[deed])


def schools_for(user: User, deed: Deed | None = None) -> QuerySet[School]:
    """The schools a user's roles reach (for `deed`, only through roles that may do it)."""
    from firstbell.register.models import School

    held = assignments(user)
    if deed is not None:
        held = held.filter(role__in=DEEDS[deed])
    held_list = list(held.values_list("school_id", flat=True))
    if None in held_list:
        return School.objects.all()
    return School.objects.filter(pk__in=held_list)


def sections_for(user: User) -> QuerySet[Section]:
    """The classes a teacher teaches."""
    from firstbell.register.models import Section

    return Section.objects.filter(
        teachers__in=assignments(user).filter(role=Role.TEACHER, staff__isnull=False).values("staff"), withdrawn=False
    ).distinct()


def _on_roll(day: date, **which: Any) -> Q:
    """Enrolments open on a day. One not begun yet counts from 30 days before, so that a school can prepare."""
    return Q(Q(ends=None) | Q(ends__gte=day), **which)


def students_for(user: User, *, on: date | None = None) -> QuerySet[Student]:
    """The students a user may see: those on the roll of their schools today, or in a class they teach today."""
    from firstbell.register.models import Enrolment, SectionEnrolment, Student

    everyone = QuerySet(Student)
    day = on or today()
    held = list(assignments(user, on=day).values_list("role", "school_id", "staff_id"))
    ways = Q()
    of_schools = [school for role, school, _staff in held if role in SCHOOL_ROLES]
    if of_schools:
        enrolled = QuerySet(Enrolment).filter(_on_roll(day, student=OuterRef("pk")))
        if None not in of_schools:
            enrolled = enrolled.filter(school__in=of_schools)
        ways |= Q(Exists(enrolled))
    staff = [person for role, _school, person in held if role == Role.TEACHER and person]
    if staff:
        seats = QuerySet(SectionEnrolment).filter(
            _on_roll(day, student=OuterRef("pk")), starts__lte=day, section__teachers__in=staff
        )
        ways |= Q(Exists(seats))
    return everyone.filter(ways) if ways else everyone.none()


def why(user: User, student: Student) -> Reason | None:
    """Why `user` may see `student` today, or None when they may not."""
    day = today()
    if not students_for(user, on=day).filter(pk=student.pk).exists():
        return None
    for held in assignments(user, on=day).select_related("school"):
        role = Role(held.role)
        if role in SCHOOL_ROLES:
            enrolled = student.enrolments.filter(_on_roll(day)).select_related("school")
            if held.school_id is not None:
                enrolled = enrolled.filter(school_id=held.school_id)
            found = enrolled.first()
            if found is not None:
                return Reason(
                    role,
                    _("You are %(role)s for %(school)s, where this student is on the roll.")
                    % {"role": role.label, "school": found.school.name},
                )
        elif role is Role.TEACHER:
            seat = student.section_enrolments.filter(_on_roll(day), section__teachers=held.staff_id).first()
            if seat is not None:
                return Reason(role, _("You teach this student in %(class)s.") % {"class": seat.section.title})
    return None


def who_can_see(student: Student) -> list[tuple[User, Reason]]:
    """Everybody who may see a student today, each with the reason."""
    people = User.objects.filter(is_active=True, assignments__isnull=False).distinct().order_by("last_name", "email")
    return [(person, reason) for person in people if (reason := why(person, student))]


def get_student(user: User, pk: int) -> Student:
    """The student, if `user` may see them; else 404, written to the audit: whether they exist isn't told."""
    student = students_for(user).filter(pk=pk).first()
    if student is None:
        audit.record(user, "refused", f"student:{pk}")
        raise Http404
    return student


def get_owned(user: User, queryset: QuerySet[Any], pk: object, what: str) -> Any:
    """A row of an already scoped queryset; else 404, written to the audit."""
    found = queryset.filter(pk=pk).first()
    if found is None:
        audit.record(user, "refused", f"{what}:{pk}")
        raise Http404
    return found


View = Callable[..., HttpResponse]


def allow(deed: Deed) -> Callable[[View], View]:
    """A view's policy: only those who may do `deed` reach it. Others get the no-permission page, and an audit line."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            from firstbell.access.middleware import sign_in_first
            from firstbell.desk.errors import no_permission

            if not request.user.is_authenticated:
                return sign_in_first(request)
            if not may(request.user, deed):
                audit.record(request.user, "refused", f"deed:{deed}")
                return no_permission(request, deed)
            return view(request, *args, **kwargs)

        guarded.policy = deed  # type: ignore[attr-defined]
        return guarded

    return decorate


def signed_in(view: View) -> View:
    """A view's policy: anybody signed in, because it shows only what is their own."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        from firstbell.access.middleware import sign_in_first

        return view(request, *args, **kwargs) if request.user.is_authenticated else sign_in_first(request)

    guarded.policy = "signed_in"  # type: ignore[attr-defined]
    return guarded


def open_to_all(view: View) -> View:
    """A view's policy: no sign-in, because it shows nothing of anybody."""
    view.policy = "open"  # type: ignore[attr-defined]
    return view


NO_ROLE = gettext_lazy("Your account has no role yet. Ask your district's data steward to give you one.")
