"""What follows from an event. Reads events from standard input, one a line:

    kycbridge events --follow --json | python3 decide.py
"""
import json
import os
import sqlite3
import sys

SKIP = "skip"    # already processed, or of another environment
ADMIT = "admit"  # the person may be admitted
HOLD = "hold"    # not, not yet, or not any more


def accepted(data):
    """The rule."""
    return data["decision"]["outcome"] == "approved" and data["decision"]["final"] is True


def decide(handled, environment, data, restored=""):
    """The action for an event. handled is the last processed restoredtime and revision, ("", 0) if there is none.

    An old revision never overwrites a newer one, and a repeated one does nothing. An event after a loss
    is newer than every event before it, whatever its revision.
    """
    if data["environment"] != environment or (restored, data["revision"]) <= handled:
        return SKIP
    return ADMIT if accepted(data) else HOLD


class Book:
    """Records processed events: one row per verification. Use a table of your database instead."""

    def __init__(self, path):
        self.db = sqlite3.connect(path)
        self.db.execute("PRAGMA synchronous=FULL")
        self.db.execute("CREATE TABLE IF NOT EXISTS handled"
                        " (verification_id TEXT PRIMARY KEY, revision INTEGER NOT NULL, action TEXT NOT NULL,"
                        " restored TEXT NOT NULL)")

    def handle(self, environment, body):
        """Decides about an event and commits the decision once. Afterwards the event may be acknowledged."""
        event = json.loads(body)
        data, restored = event["data"], event.get("restoredtime", "")
        vid, revision = data["verification_id"], data["revision"]
        with self.db:  # one transaction: do your own work for the event in here
            row = self.db.execute("SELECT restored, revision FROM handled WHERE verification_id = ?", (vid,)).fetchone()
            action = decide(row or ("", 0), environment, data, restored)
            if action != SKIP:
                self.db.execute("INSERT INTO handled VALUES (?, ?, ?, ?) ON CONFLICT (verification_id)"
                                " DO UPDATE SET revision = excluded.revision, action = excluded.action,"
                                " restored = excluded.restored WHERE (excluded.restored, excluded.revision)"
                                " > (handled.restored, handled.revision)", (vid, revision, action, restored))
        return vid, revision, action


def main():
    book = Book(os.environ.get("KYC_BOOK", "handled.db"))
    for line in sys.stdin:
        print(*book.handle(os.environ.get("KYC_ENVIRONMENT", "live"), line), flush=True)


if __name__ == "__main__":
    main()
