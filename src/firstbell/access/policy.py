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
from zoneinfo import ZoneInfo

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet, Subquery, prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from firstbell import clock
from firstbell.access import audit
from firstbell.access.models import Assignment, Role, User

if TYPE_CHECKING:
    from firstbell.register.models import District, Enrolment, School, Section, Student


class Deed(StrEnum):
    """What a page lets somebody do. A view names its deed; `DEEDS` says which roles may."""

    SEE_TODAY = "see_today"
    SEE_STUDENT = "see_student"
    GIVE_VERDICT = "give_verdict"
    TAKE_ROLL = "take_roll"
    BRING_DATA = "bring_data"
    SEE_SCHOOLS = "see_schools"
    SEE_MODEL = "see_model"
    SEE_LAW = "see_law"
    TAKE_STEPS = "take_steps"
    SEE_PROTECTIONS = "see_protections"
    SET_POLICY = "set_policy"


DEEDS: dict[Deed, frozenset[Role]] = {
    Deed.SEE_TODAY: frozenset({Role.OFFICER, Role.SCHOOL_LEAD}),
    Deed.SEE_STUDENT: frozenset({Role.OFFICER, Role.SCHOOL_LEAD, Role.TEACHER}),
    Deed.GIVE_VERDICT: frozenset({Role.OFFICER, Role.SCHOOL_LEAD}),
    Deed.TAKE_ROLL: frozenset({Role.TEACHER}),
    Deed.BRING_DATA: frozenset({Role.DATA_STEWARD}),
    Deed.SEE_SCHOOLS: frozenset({Role.DISTRICT_LEAD}),
    Deed.SEE_MODEL: frozenset({Role.OFFICER, Role.SCHOOL_LEAD, Role.DISTRICT_LEAD, Role.DATA_STEWARD}),
    Deed.SEE_LAW: frozenset({Role.OFFICER, Role.SCHOOL_LEAD}),
    Deed.TAKE_STEPS: frozenset({Role.OFFICER, Role.SCHOOL_LEAD}),
    # housing, health, a pregnancy: closed to all but the officer, who must not take a step the law forbids
    Deed.SEE_PROTECTIONS: frozenset({Role.OFFICER}),
    Deed.SET_POLICY: frozenset({Role.DISTRICT_LEAD}),
}

#: Roles that see the students of their schools. A district lead sees schools, a data steward sees deliveries.
SCHOOL_ROLES = (Role.OFFICER, Role.SCHOOL_LEAD)

#: after a student leaves, their last school's people keep no view: out the same day (abuse test 11)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a user may see a student, in words for the page."""

    role: Role
    words: str


def district(user: User | None = None) -> District | None:
    """The district; asked of the database once a request, kept on that request's user."""
    from firstbell.register.models import District

    if user is None:
        return District.objects.first()
    if not hasattr(user, "_district"):
        user._district = District.objects.first()  # type: ignore[attr-defined]
    return user._district  # type: ignore[no-any-return,attr-defined]


def today(user: User | None = None) -> date:
    """The date for assignments and enrolments: by the district's own clock."""
    found = district(user)
    return clock.today(ZoneInfo(found.time_zone if found else "UTC"))


def in_service(day: date) -> QuerySet[Assignment]:
    """The roles that people hold on a day."""
    return Assignment.objects.filter(Q(ends=None) | Q(ends__gte=day), starts__lte=day, user__is_active=True)


def officers(day: date) -> QuerySet[Assignment]:
    """The attendance officers on a day. Who is one only to sign for an office is nobody's officer."""
    return in_service(day).filter(role=Role.OFFICER, office="")


def assignments(user: User, *, on: date | None = None) -> QuerySet[Assignment]:
    """The roles a user holds on a day, today unless said."""
    if not user.is_authenticated or not user.is_active:
        return Assignment.objects.none()
    return in_service(on or today(user)).filter(user=user)


@dataclass(frozen=True, slots=True)
class Held:
    """A role somebody holds: for a school, or (None) the whole district; with the office, where they hold one in it."""

    role: Role
    school_id: int | None
    staff_id: int | None
    office: str = ""


def held(user: User) -> tuple[Held, ...]:
    """What a user holds today; asked of the database once a request (with the district), kept on that request's user object."""
    found: tuple[Held, ...] | None = getattr(user, "_held", None)
    if found is None:
        found = _held_of(user)
        if user.is_authenticated:
            user._held = found  # type: ignore[attr-defined]
    return found


def _held_of(user: User) -> tuple[Held, ...]:
    from firstbell.register.models import District

    if not user.is_authenticated or not user.is_active:
        return ()
    the_district = District.objects.order_by("pk")[:1]
    rows = list(
        Assignment.objects.filter(user=user).order_by("pk").annotate(
            **{f"district_{name}": Subquery(the_district.values(name)) for name in ("id", "source_id", "name", "time_zone")}
        )
    )  # fmt: skip
    if rows and rows[0].district_id is not None and not hasattr(user, "_district"):
        of = rows[0]
        user._district = District(of.district_id, of.district_source_id, of.district_name, of.district_time_zone)  # type: ignore[attr-defined]
    day = today(user)
    return tuple(
        Held(Role(row.role), row.school_id, row.staff_id, row.office)
        for row in rows if row.starts <= day and (row.ends is None or row.ends >= day)
    )  # fmt: skip


def roles(user: User) -> frozenset[Role]:
    return frozenset(h.role for h in held(user))


def may(user: User, deed: Deed) -> bool:
    return bool(roles(user) & DEEDS[deed])


def schools_for(user: User, deed: Deed | None = None) -> QuerySet[School]:
    """The schools a user's roles reach (for `deed`, only through roles that may do it)."""
    from firstbell.register.models import School

    reached = {h.school_id for h in held(user) if deed is None or h.role in DEEDS[deed]}
    if None in reached:
        return School.objects.all()
    return School.objects.filter(pk__in=reached)


def sections_for(user: User) -> QuerySet[Section]:
    """The classes a teacher teaches."""
    from firstbell.register.models import Section

    return Section.objects.filter(
        teachers__in=[h.staff_id for h in held(user) if h.role is Role.TEACHER and h.staff_id], withdrawn=False
    ).distinct()


def _on_roll(day: date, **which: Any) -> Q:
    """Enrolments not over by a day. One that begins later counts already, so that a school can prepare."""
    return Q(Q(ends=None) | Q(ends__gte=day), **which)


def students_for(user: User, by: Callable[[Held], bool] | None = None) -> QuerySet[Student]:
    """The students a user may see: those on the roll of their schools today, or in a class they teach today. by: only through such roles."""
    from firstbell.register.models import Enrolment, SectionEnrolment, Student

    everyone = QuerySet(Student)
    day = today(user)
    ways = Q()
    through = [h for h in held(user) if by is None or by(h)]
    of_schools = {h.school_id for h in through if h.role in SCHOOL_ROLES}
    if of_schools:
        enrolled = QuerySet(Enrolment).filter(_on_roll(day, student=OuterRef("pk")))
        if None not in of_schools:
            enrolled = enrolled.filter(school__in=of_schools)
        ways |= Q(Exists(enrolled))
    staff = {h.staff_id for h in through if h.role is Role.TEACHER and h.staff_id}
    if staff:
        seats = QuerySet(SectionEnrolment).filter(
            _on_roll(day, student=OuterRef("pk")), starts__lte=day, section__teachers__in=staff
        )
        ways |= Q(Exists(seats))
    return everyone.filter(ways) if ways else everyone.none()


def students_at(user: User, school: School) -> QuerySet[Student]:
    """Of the students a user may see, those on the roll of one school today."""
    from firstbell.register.models import Enrolment

    there = QuerySet(Enrolment).filter(_on_roll(today(user), student=OuterRef("pk"), school=school))
    return students_for(user).filter(Exists(there))


def why(user: User, student: Student) -> Reason | None:
    """Why `user` may see `student` today, or None when they may not. The same rule as `students_for`, with its words."""
    day = today(user)
    return next((reason for holding in held(user) if (reason := _reason(holding, student, day))), None)


def held_at_school_of(user: User, student: Student) -> list[Held]:
    """As what a user sees the students of a school this one is on the roll of: whatever they are elsewhere does not reach here."""
    schools = {None, *(stay.school_id for stay in stays_of(student, today(user)))}
    return [h for h in held(user) if h.role in SCHOOL_ROLES and h.school_id in schools]


def may_for(user: User, deed: Deed, student: Student) -> bool:
    """`may`, of one student: as an officer of another school nobody reads what protects this one."""
    return any(h.role in DEEDS[deed] for h in held_at_school_of(user, student))


def _reason(holding: Held, student: Student, day: date, taught: dict[int, str] | None = None) -> Reason | None:
    """What one role gives. `taught`: `_taught_by`, for who asks about many people."""
    if holding.role in SCHOOL_ROLES:
        for stay in stays_of(student, day):
            if holding.school_id in (None, stay.school_id):
                words = _("You are %(role)s for %(school)s, where this student is on the roll.")
                role = holding.office or holding.role.label
                return Reason(holding.role, words % {"role": role, "school": stay.school.name})
    elif holding.role is Role.TEACHER and holding.staff_id:
        title = (_taught_by(student, day) if taught is None else taught).get(holding.staff_id)
        if title is not None:
            words = _("You teach this student in %(class)s.")
            return Reason(holding.role, words % {"class": title})
    return None


def stays_of(student: Student, day: date) -> list[Enrolment]:
    """The student's enrolments not over by a day, as `_on_roll` has it."""
    prefetch_related_objects([student], _with_schools())
    return [stay for stay in student.enrolments.all() if stay.ends is None or stay.ends >= day]


def _with_schools() -> Prefetch[Any]:
    from firstbell.register.models import Enrolment

    return Prefetch("enrolments", QuerySet(Enrolment).select_related("school").order_by("starts", "pk"))


def _taught_by(student: Student, day: date) -> dict[int, str]:
    """Who teaches the student on a day: staff, and in which class."""
    seats = student.section_enrolments.filter(_on_roll(day), starts__lte=day, section__teachers__isnull=False)
    return dict(seats.order_by("-pk").values_list("section__teachers", "section__title"))


def who_can_see(student: Student) -> list[tuple[User, Reason]]:
    """Everybody who may see a student today, each with the reason. In a handful of queries, however many people there are."""
    day = today()
    taught = _taught_by(student, day)
    holding = in_service(day).filter(
        Q(role__in=SCHOOL_ROLES, school=None)
        | Q(role__in=SCHOOL_ROLES, school__in={stay.school_id for stay in stays_of(student, day)})
        | Q(role=Role.TEACHER, staff__in=taught)
    )  # fmt: skip
    found: dict[User, Reason] = {}
    for row in holding.select_related("user").order_by("user__last_name", "user__email", "pk"):
        reason = _reason(Held(Role(row.role), row.school_id, row.staff_id, row.office), student, day, taught)
        if reason is not None:
            found.setdefault(row.user, reason)
    return list(found.items())


def _with_stays(user: User, pk: int) -> Student | None:
    """The student by their stays, in one query, so that nobody has to ask for the stays again; None for who has none."""
    from firstbell.register.models import Enrolment

    stays = QuerySet(Enrolment).filter(student=pk, student__in=students_for(user))
    stays = stays.select_related("student", "school").order_by("starts", "pk")
    if not stays:  # asks, and keeps the answer
        return None
    student: Student = stays[0].student
    student._prefetched_objects_cache = {"enrolments": stays}  # type: ignore[attr-defined]  # as prefetch_related leaves it
    return student


def get_student(user: User, pk: int, deed: Deed | None = None) -> Student:
    """The student, if `user` may see them (and do this for them, as somebody of their school); else 404, written to the audit: whether they
    exist isn't told."""
    student = _with_stays(user, pk) or students_for(user).filter(pk=pk).first()
    if student is None or (deed is not None and not may_for(user, deed, student)):
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
