"""Schools, families, students, classes and their teachers. A *cluster* is four primary schools, a middle and a high school."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLUSTER_STUDENTS", "FAMILY_NAMES", "LANGUAGES", "Cluster", "School", "make_cluster"]

CLUSTER_STUDENTS = 4000
#: Nobody has moved school before this many school days; of so many students one takes a class at a second school.
MOVES_FROM, VISITOR_EACH = 30, 1000
GRADES = ("KG", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12")
PRIMARY_SESSIONS, SECONDARY_SESSIONS = 2, 7

SCHOOL_NAMES = (
    "Alder",
    "Birch",
    "Cedar",
    "Dogwood",
    "Elm",
    "Fir",
    "Hazel",
    "Juniper",
    "Larch",
    "Maple",
    "Oak",
    "Pine",
    "Rowan",
    "Spruce",
    "Willow",
    "Yew",
)
GIVEN_NAMES = (
    "Amina", "Ana", "Aiden", "Amara", "Andre", "Anh", "Asha", "Ben", "Bilal", "Camila", "Carlos", "Chloe", "Daniel", "Deqa", "Diego",
    "Elena", "Eli", "Emma", "Farah", "Fatima", "Gabriel", "Grace", "Hana", "Hassan", "Ibrahim", "Imani", "Isaac", "Jada", "James",
    "Jasmine", "Jorge", "Kai", "Khadija", "Kiara", "Lan", "Layla", "Leo", "Liam", "Linh", "Lucia", "Malik", "Marcus", "Maria", "Maya",
    "Mei", "Mia", "Minh", "Mohamed", "Nadia", "Naomi", "Noah", "Nora", "Omar", "Priya", "Rahul", "Rosa", "Ruth", "Sadia", "Sam",
    "Santiago", "Sara", "Sofia", "Tariq", "Theo", "Thuy", "Valentina", "William", "Xavier", "Yasmin", "Yusuf", "Zoe", "Zara",
)  # fmt: skip
FAMILY_NAMES = (
    "Abdi", "Adams", "Ali", "Alvarez", "Baker", "Bell", "Brooks", "Castillo", "Chen", "Clark", "Cruz", "Davis", "Diaz", "Farah",
    "Flores", "Garcia", "Gomez", "Green", "Gutierrez", "Hall", "Haddad", "Hernandez", "Hussein", "Jackson", "Johnson", "Jones", "Kaur",
    "Kelly", "Khan", "Kim", "Le", "Lee", "Lopez", "Martin", "Martinez", "Mensah", "Mohamud", "Moore", "Morales", "Morgan", "Murphy",
    "Ng", "Nguyen", "Okafor", "Ortiz", "Patel", "Perez", "Pham", "Ramirez", "Reed", "Reyes", "Rivera", "Robinson", "Rodriguez", "Ruiz",
    "Salah", "Sanchez", "Santos", "Shah", "Singh", "Smith", "Taylor", "Thomas", "Torres", "Tran", "Vargas", "Walker", "White",
    "Williams", "Wilson", "Wong", "Wright", "Yusuf", "Zhang",
)  # fmt: skip
#: of a town that is nowhere
STREETS = (
    "Acorn Row", "Barley Street", "Candle Lane", "Dovetail Road", "Ember Street", "Fiddler Lane", "Gander Road", "Hollow Row", "Inkwell Street",
    "Juniper Loop", "Kettle Lane", "Lantern Street", "Millrace Road", "Nutmeg Lane", "Otter Street", "Pewter Row", "Quill Road", "Ribbon Lane",
    "Sparrow Street", "Thimble Row", "Umber Road", "Velvet Lane", "Windmill Street", "Yarrow Road",
)  # fmt: skip
LANGUAGES = ("en", "es", "so", "ar", "vi", "zh")
LANGUAGE_SHARES = (0.62, 0.22, 0.06, 0.04, 0.04, 0.02)


@dataclass(frozen=True, slots=True)
class School:
    id: str
    name: str
    phase: str  # "primary", "middle", "high"
    sessions: int
    grades: tuple[int, ...]


@dataclass(slots=True)
class Cluster:
    """Some thousands of students over two school years, in arrays by student.

    grade        this year's grade, counted from 0 for KG; -1 comes to school next year, 13 left last June
    school       (2, n) index of the school last year and this year, -1 where in none
    first, last  (2, n) school-day columns enrolled, [first, last)
    moved_to     index of the primary school moved to during this year, -1 where none; moved_on its first school-day column there,
                 moved_section the homeroom there
    visits       section this year of a class taken at a second school beside the own (concurrent enrolment), -1 where none
    family       families counted from 0; language (families,)
    section      (2, n, sessions) index of the class in each session; -1 where none
    sections     by year: (school index, grade, sessions met, teacher index, title)
    """

    number: int
    schools: tuple[School, ...]
    grade: NDArray[np.int64]
    school: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    moved_to: NDArray[np.int64]
    moved_on: NDArray[np.int64]
    moved_section: NDArray[np.int64]
    visits: NDArray[np.int64]
    family: NDArray[np.int64]
    language: NDArray[np.int64]
    given: NDArray[np.int64]
    surname: NDArray[np.int64]
    section: NDArray[np.int64]
    sections: tuple[list[tuple[int, int, tuple[int, ...], int, str]], ...]
    teachers: int

    @property
    def n(self) -> int:
        return len(self.grade)

    def student_id(self, i: int) -> str:
        return f"stu-{self.number:03d}-{i:05d}"

    def teacher_id(self, t: int) -> str:
        return f"tch-{self.number:03d}-{t:04d}"

    def section_id(self, year: int, s: int) -> str:
        return f"cls-{self.number:03d}-{year}-{s:05d}"


def _name_of(k: int) -> tuple[str, str]:
    """The k-th tree of the district's schools, and the number that follows once the trees have run out."""
    again = k // len(SCHOOL_NAMES)
    return SCHOOL_NAMES[k % len(SCHOOL_NAMES)], f" {again + 1}" if again else ""


def make_cluster(number: int, students: int, days: tuple[int, int], rng: np.random.Generator) -> Cluster:
    """A cluster with about `students` on roll this year. `days`: school days of last year and this."""
    tree, suffix = _name_of(number)
    primary_names = [_name_of(number * 4 + k) for k in range(4)]
    schools = (
        *(
            School(f"sch-{number:03d}-{k}", "{} Primary{}".format(*name), "primary", PRIMARY_SESSIONS, tuple(range(6)))
            for k, name in enumerate(primary_names)
        ),
        School(f"sch-{number:03d}-4", f"{tree} Middle School{suffix}", "middle", SECONDARY_SESSIONS, (6, 7, 8)),
        School(f"sch-{number:03d}-5", f"{tree} High School{suffix}", "high", SECONDARY_SESSIONS, (9, 10, 11, 12)),
    )
    per_grade = students / 13
    n = max(15, round(per_grade * 14))  # this year's thirteen grades, and those who left last June
    grade = np.sort(rng.integers(0, 14, n))
    # Families: one to three children, neighbours in a random order, so siblings spread over grades and schools.
    order = rng.permutation(n)
    sizes = rng.choice([1, 2, 3], size=n, p=[0.52, 0.36, 0.12])
    family_of_place = np.repeat(np.arange(n), sizes)[:n]
    family = np.empty(n, dtype=np.int64)
    family[order] = family_of_place
    families = int(family.max()) + 1
    language = rng.choice(len(LANGUAGES), size=families, p=LANGUAGE_SHARES)
    primary = rng.integers(0, 4, families)[family]

    def school_at(level: NDArray[np.int64]) -> NDArray[np.int64]:
        place = np.where(level <= 5, primary, np.where(level <= 8, 4, 5))
        return np.where((level < 0) | (level > 12), -1, place)

    school = np.stack([school_at(grade - 1), school_at(grade)])
    # New to the district this year: no last year. Late joiners, leavers, and moves between primaries.
    new_here = rng.random(n) < 0.05
    school[0, new_here] = -1
    first = np.zeros((2, n), dtype=np.int64)
    last = np.stack([np.full(n, days[0]), np.full(n, days[1])])
    for year in (0, 1):
        joins = (rng.random(n) < 0.025) & (school[year] >= 0)
        first[year, joins] = rng.integers(5, max(days[year] - 10, 6), int(joins.sum()))
        if year == 1:
            school[0, joins] = -1
        leaves = (rng.random(n) < 0.015) & (first[year] == 0) & (school[year] >= 0)
        last[year, leaves] = rng.integers(10, max(days[year] - 5, 11), int(leaves.sum()))
        if year == 0:
            school[1, leaves] = -1
    moved_to = np.full(n, -1)
    moves = (rng.random(n) < 0.02) & (school[1] >= 0) & (school[1] < 4) & (first[1] == 0) & (last[1] == days[1])
    moved_to[moves] = (school[1, moves] + 1 + rng.integers(0, 3, int(moves.sum()))) % 4
    # Classes: a homeroom in primary; a class a period in secondary.
    section = np.full((2, n, SECONDARY_SESSIONS), -1)
    sections: tuple[list[tuple[int, int, tuple[int, ...], int, str]], ...] = ([], [])
    teacher = 0
    for year in (0, 1):
        level = grade - 1 + year
        for s, where in enumerate(schools):
            for g in where.grades:
                members = np.flatnonzero((school[year] == s) & (level == g))
                if not len(members):
                    continue
                if where.phase == "primary":
                    for k, part in enumerate(
                        np.array_split(rng.permutation(members), max(1, round(len(members) / 24)))
                    ):
                        section[year, part, :PRIMARY_SESSIONS] = len(sections[year])
                        title = f"{'Kindergarten' if g == 0 else f'Grade {g}'} {chr(65 + k)}"
                        sections[year].append((s, g, (), teacher, title))
                        teacher += 1
                else:
                    groups = max(1, round(len(members) / 26))
                    for period in range(SECONDARY_SESSIONS):
                        for k, part in enumerate(np.array_split(rng.permutation(members), groups)):
                            section[year, part, period] = len(sections[year])
                            title = f"{SUBJECTS[(period + k) % len(SUBJECTS)]} {g}-{k + 1}"
                            sections[year].append((s, g, (period,), teacher + k, title))
                    teacher += groups
        if year == 0:
            teacher = 0
    moved_on = np.where(moved_to >= 0, rng.integers(20, max(days[1] - 4, 21), n), -1)
    moved_section = np.full(n, -1)
    visits = np.full(n, -1)
    if days[1] < MOVES_FROM:
        moved_to[:] = moved_on[:] = -1
    rooms: dict[tuple[int, int], list[int]] = {}
    for k, (at, g, _met, _teacher, _title) in enumerate(sections[1]):
        rooms.setdefault((at, g), []).append(k)
    for i in np.flatnonzero(moved_to >= 0).tolist():
        there = rooms.get((int(moved_to[i]), int(grade[i])))
        if there:
            moved_section[i] = there[i % len(there)]
        else:
            moved_to[i] = moved_on[i] = -1
    # A few of the eighth grade take the last period's class at the high school.
    last_period = [k for k, (at, g, met, _t, _n) in enumerate(sections[1]) if at == 5 and g == 9 and met == (6,)]
    eighth = np.flatnonzero((grade == 8) & (school[1] == 4) & (first[1] == 0) & (last[1] == days[1]))
    for i in rng.permutation(eighth)[: max(1, students // VISITOR_EACH)].tolist():
        if last_period:
            visits[i] = last_period[0]
    teachers = 1 + max((t for part in sections for *_, t, _title in part), default=0)
    # Brothers and sisters have names of their own.
    child = np.zeros(n, dtype=np.int64)
    together = np.argsort(family, kind="stable")
    child[together] = np.arange(n) - np.searchsorted(family[together], family[together])
    given = (rng.integers(0, len(GIVEN_NAMES), families)[family] + 23 * child) % len(GIVEN_NAMES)
    return Cluster(
        number, schools, grade, school, first, last, moved_to, moved_on, moved_section, visits, family, language,
        given, rng.integers(0, len(FAMILY_NAMES), families), section, sections, teachers,
    )  # fmt: skip


SUBJECTS = ("English", "Maths", "Science", "History", "Art", "Spanish", "Music")
