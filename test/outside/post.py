"""Posts every body of the fixtures to the accounts of its provider, with the credential that the provider uses."""

import collections
import hashlib
import hmac
import http.client
import json
import time

from job import JOB, bodies

SECRET = JOB["credential"]


def signature(body):
    """Ondato's: over the time, a dot and the body."""
    now = str(int(time.time()))
    code = hmac.new(SECRET.encode(), now.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"Ondato-Signature": f"t={now}, s={code}"}


CREDENTIALS = {
    "ondato": signature,
    "signzy": lambda _: {"Authorization": SECRET},
    "idwise": lambda _: {"Authorization": "Bearer " + SECRET},
    "kwikid": lambda _: {"X-Callback-Key": SECRET},
}


def post(connection, provider, account, body, headers):
    connection.request("POST", f"/webhooks/{provider}/{account}", body, {"Content-Type": "application/json"} | headers)
    answer = connection.getresponse()
    return answer.status, answer.headers["Content-Type"], json.loads(answer.read())


def main():
    connection, answers = http.client.HTTPConnection(JOB["callbacks"], timeout=60), collections.Counter()
    for provider, body in bodies():
        for account in JOB["accounts"]:
            headers = CREDENTIALS[provider](body)
            status, _, answer = post(connection, provider, account, body, headers)
            assert status == 200, (status, answer)
            answers[provider, answer["status"]] += 1
        altered = [headers, body + b" "] if provider == "ondato" else [{}, body]
        status, kind, answer = post(connection, provider, account, altered[1], altered[0])
        assert (status, kind, answer["status"]) == (401, "application/problem+json", 401), (provider, status, answer)
    for provider in CREDENTIALS:
        assert answers[provider, "accepted"] > 20, answers


main()
