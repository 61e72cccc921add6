"""A mail server that speaks SMTP (RFC 5321) on loopback, keeps what it is given, and can be told to be difficult."""

import base64
import email
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message


@dataclass
class MailServer:
    """`answers` replaces what the server says to a command ("RCPT": "550 no such user"); "DATA." is the end of a
    message, and an empty answer there closes the connection without a word.
    """

    port: int = 0
    account: tuple[str, str] | None = None  # when set, mail is taken from who signs in so
    answers: dict[str, str] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


class _Conversation(socketserver.StreamRequestHandler):
    known: MailServer

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        self.say("220 stand-in")
        signed_in = self.known.account is None
        while line := self.rfile.readline().decode().strip():
            verb = line.partition(" ")[0].upper()
            self.known.commands.append(verb)
            if verb in self.known.answers:
                self.say(self.known.answers[verb])
            elif verb == "EHLO":
                self.say("250-stand-in")
                self.say("250-AUTH PLAIN")
                self.say("250 SIZE 1000000")
            elif verb == "AUTH":
                _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
                signed_in = (user, password) == self.known.account
                self.say("235 welcome" if signed_in else "535 wrong password")
            elif verb == "MAIL":
                self.say("250 go on" if signed_in else "530 sign in first")
            elif verb == "RCPT":
                self.known.recipients.append(line.partition(":")[2].split(">")[0].strip("<"))
                self.say("250 go on")
            elif verb == "DATA":
                if not self.take_over():
                    return
            elif verb == "QUIT":
                self.say("221 good bye")
                return
            else:
                self.say("250 as you like")

    def take_over(self) -> bool:
        """Read one message; False when the connection is to end without a word."""
        self.say("354 go on")
        content = b"".join(iter(self.rfile.readline, b".\r\n"))
        answer = self.known.answers.get("DATA.", "250 taken over")
        if answer.startswith("250"):
            self.known.messages.append(email.message_from_bytes(content))
        if answer:
            self.say(answer)
        return bool(answer)


@contextmanager
def mail_server_running() -> Iterator[MailServer]:
    known = MailServer()
    handler = type("Conversation", (_Conversation,), {"known": known})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        known.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield known
        server.shutdown()
        thread.join()
