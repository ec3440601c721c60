"""A small NATS client, as the protocol's documentation describes it: enough to read a stream."""

import json
import socket


class Message:
    """One message: its subject, its headers (the last value of each) and its bytes."""

    def __init__(self, subject, head, data):
        lines = head.decode().split("\r\n")
        self.headers = {k: v.strip() for k, _, v in (line.partition(":") for line in lines[1:]) if k}
        self.subject = self.headers.get("Nats-Subject", subject)  # of a stored message the answer's is an inbox
        self.status, self.data = lines[0].removeprefix("NATS/1.0").strip(), data


class Connection:
    def __init__(self, address, user=None, password=None):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 20)
        self.file = self.socket.makefile("rb")
        self.file.readline()  # INFO
        self.inboxes = 0
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "lang": "python",
                   "version": "0", "protocol": 1}
        if user:
            options |= {"user": user, "pass": password}
        self.send("CONNECT " + json.dumps(options))
        self.send("SUB _INBOX.outside.* 1")  # one for all answers: a reader may have 50 subscriptions

    def send(self, line, payload=None):
        self.socket.sendall(line.encode() + b"\r\n" + (b"" if payload is None else payload + b"\r\n"))

    def receive(self):
        while True:
            line = self.file.readline()
            words = line.split()
            if not words or words[0] == b"-ERR":
                raise ConnectionError(line.decode())
            if words[0] == b"PING":
                self.send("PONG")
            if words[0] in (b"MSG", b"HMSG"):
                head = int(words[-2]) if words[0] == b"HMSG" else 0
                body = self.file.read(int(words[-1]) + 2)[:-2]
                return Message(words[1].decode(), body[:head], body[head:])

    def request(self, subject, content):
        self.inboxes += 1
        payload = json.dumps(content).encode()
        self.send(f"PUB {subject} _INBOX.outside.{self.inboxes} {len(payload)}", payload)
        return self.receive()

    def stream(self, name, subjects):
        """All messages of a stream on these subjects, one direct get after the other."""
        sequence = 1
        while True:
            message = self.request(f"$JS.API.DIRECT.GET.{name}", {"seq": sequence, "next_by_subj": subjects})
            if message.status.startswith("404"):
                return
            assert not message.status, message.status
            yield message
            sequence = int(message.headers["Nats-Sequence"]) + 1
