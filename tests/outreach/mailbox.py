"""A mail server on a socket of this machine: it speaks SMTP, keeps what it accepts, and refuses when told to.

A line in `record` is written before the server says 250: so it counts every message a sender may believe delivered, also
those of a sender killed before it heard so.
"""

from __future__ import annotations

import email
import email.message
import socketserver
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Letter:
    sender: str
    recipients: list[str]
    mail: email.message.Message


@dataclass
class Mailbox:
    """`says`: the answer to a command ("RCPT", "DATA", "." for the message's end …) in place of 250.
    `most_at_once`: how many senders it ever spoke with at one moment.
    """

    record: Path
    port: int = 0
    says: dict[str, str] = field(default_factory=dict)
    letters: list[Letter] = field(default_factory=list)
    signed_in: list[tuple[str, str]] = field(default_factory=list)
    speaking: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def accepted(self) -> list[str]:
        """The Message-IDs accepted, one for each time a sender handed the message over."""
        return self.record.read_text().splitlines()

    def speak(self, more: int) -> None:
        with self.lock:
            self.speaking += more
            self.most_at_once = max(self.most_at_once, self.speaking)

    def take(self, letter: Letter) -> None:
        with self.lock, self.record.open("a") as record:
            record.write(f"{letter.mail['Message-ID']}\n")
            self.letters.append(letter)


class Conversation(socketserver.StreamRequestHandler):
    mailbox: Mailbox

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def setup(self) -> None:
        super().setup()
        self.here = True
        self.mailbox.speak(+1)

    def leave(self) -> None:
        if self.here:
            self.here = False
            self.mailbox.speak(-1)

    def finish(self) -> None:
        self.leave()
        with suppress(ConnectionError):
            super().finish()

    def handle(self) -> None:
        sender, recipients = "", list[str]()
        try:
            self.say("220 mailbox")
            while line := self.rfile.readline().decode().rstrip("\r\n"):
                verb = line[:4].upper()
                refusal = self.mailbox.says.get(verb, "")
                if refusal:
                    self.say(refusal)
                elif verb == "EHLO":
                    self.say("250-mailbox\r\n250 AUTH PLAIN")
                elif verb == "AUTH":
                    _, user, password = b64decode(line.split()[2]).decode().split("\0")
                    self.mailbox.signed_in.append((user, password))
                    self.say("235 yes")
                elif verb == "DATA":
                    self.say("354 go on")
                    self.take(sender, recipients)
                elif verb == "QUIT":
                    self.leave()  # before the sender hears it and may call again
                    self.say("221 bye")
                    return
                else:
                    if verb == "MAIL":
                        sender, recipients = line, []
                    if verb == "RCPT":
                        recipients.append(line.partition("<")[2].rstrip(">"))
                    self.say("250 yes")
        except ConnectionError:  # the sender was killed
            return

    def take(self, sender: str, recipients: list[str]) -> None:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return
            lines.append(line.removeprefix(b"."))
        if refusal := self.mailbox.says.get("."):
            self.say(refusal)
            return
        self.mailbox.take(Letter(sender, recipients, email.message_from_bytes(b"".join(lines))))
        self.say("250 accepted")


@contextmanager
def a_mailbox(folder: Path) -> Iterator[Mailbox]:
    """A mail server for as long as the block lasts."""
    mailbox = Mailbox(folder / "accepted")
    mailbox.record.touch()
    handler = type("ConversationHere", (Conversation,), {"mailbox": mailbox})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        mailbox.port = server.server_address[1]
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        try:
            yield mailbox
        finally:
            server.shutdown()
            serving.join()
