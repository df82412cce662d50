"""Logs carry no personal data: request paths hold only numbers, and what slips through is cut here."""

from __future__ import annotations

import logging
import re

_MAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
_QUERY = re.compile(r"(\?)[^\s\"']+")


class NoPersonalData(logging.Filter):
    """Takes mail addresses and query strings out of log lines, and exception text out of tracebacks' last line.

    An exception's message may quote a row ("Key (given_name)=(Amina)"), so only its type and place are kept.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = _QUERY.sub(r"\1…", _MAIL.sub("…@…", record.getMessage()))
        record.args = ()
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            trace = error.__traceback__
            places = []
            while trace is not None:
                places.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
                trace = trace.tb_next
            record.msg += f" [{type(error).__name__} at {' < '.join(reversed(places[-6:]))}]"
            record.exc_info = None
            record.exc_text = None
        return True
