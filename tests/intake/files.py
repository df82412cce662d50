"""A small district's files, written as a school system would export them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

FIRST = date(2026, 8, 31)  # a Monday

SMALL: dict[str, str] = {
    "orgs.csv": """sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId,metadata.timeZone
d1,,,Larch Valley,district,,,America/Chicago
alder,,,Alder Primary,school,101,d1,
birch,,,Birch High,school,102,d1,
""",
    "academicSessions.csv": """sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear
y27,,,2026-27,schoolYear,2026-08-31,2027-06-11,,2027
t1,,,Autumn,term,2026-08-31,2026-12-18,y27,2027
""",
    "classes.csv": """sourcedId,status,dateLastModified,title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,termSourcedIds,subjects,subjectCodes,periods
c3b,,,3B,03,,3B,homeroom,,alder,y27,,,
m9,,,Maths 9,09,,M9,scheduled,,birch,t1,,,1
e9,,,English 9,09,,E9,scheduled,,birch,t1,,,2
""",
    "users.csv": """sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,password,metadata.language
s1,,,true,alder,student,,,Ana,Reyes,,000101,,,,g1,03,,es
s2,,,true,alder,student,,,Ben,Oduya,,000102,,,,,03,,
s3,,,true,birch,student,,,Cai,Reyes,,000103,,,,g1,09,,
t1,,,true,alder,teacher,,,Tess,Ward,,,tess@example.org,,,,,,
g1,,,true,alder,guardian,,,Rosa,Reyes,,,rosa@example.org,,+1 555 0100,,,,es
""",
    "enrollments.csv": """sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate
e1,,,c3b,alder,s1,student,false,,
e2,,,c3b,alder,s2,student,false,2026-09-14,
e3,,,m9,birch,s3,student,false,,
e4,,,e9,birch,s3,student,false,,
e5,,,c3b,alder,t1,teacher,true,,
""",
    "attendance.csv": """studentSourcedId,schoolSourcedId,date,session,code,minutesMissed,reason,recordedAt,recordedBy
s1,alder,2026-09-01,1,N,,,2026-09-01T09:05:00-05:00,t1
s1,alder,2026-09-01,1,E,,ill,2026-09-03T10:00:00-05:00,office
s1,alder,2026-09-02,,U,,,2026-09-02T09:05:00-05:00,t1
s2,alder,2026-09-15,2,T,25,,2026-09-15T13:05:00-05:00,t1
s3,birch,2026-09-02,2,U,,,2026-09-02T10:05:00-05:00,
""",
    "rolls.csv": """schoolSourcedId,classSourcedId,date,session,taken,takenAt,takenBy
alder,c3b,2026-09-03,1,false,2026-09-03T16:00:00-05:00,t1
""",
    "source.toml": 'sends = "exceptions"\ncomplete_through = 2026-09-18\n',
}


def calendar(weeks: int = 6) -> str:
    lines = ["schoolSourcedId,date,type,sessions,startTimes,minutes"]
    for school, more in (("alder", "2,08:10;12:45,150;165"), ("birch", "3,,")):
        for n in range(weeks * 7):
            day = FIRST + timedelta(days=n)
            kind = "Instructional day" if day.weekday() < 5 else "Non-instructional day"
            if day == date(2026, 9, 7):
                kind = "Holiday"
            lines.append(f"{school},{day},{kind},{more}")
    return "\n".join(lines) + "\n"


def write(folder: Path, **changes: str | None) -> Path:
    """The small district's files in a folder. `users=…` puts another text in users.csv's place; None leaves it out."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, str | None] = {**SMALL, "calendar.csv": calendar()}
    for name, text in changes.items():
        files[name if "." in name else f"{name}.csv"] = text
    for name, text in files.items():
        if text is not None:
            (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder
