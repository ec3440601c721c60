"""Status, outcome and finality of many bodies are as documented, for the words of each provider, their spellings and
combinations. The rows below are a second mapping, written from the documentation."""

import copy
import itertools
import json
import pathlib
import subprocess

from job import DIR, JOB, expect

SPELLINGS = (str, str.upper, str.lower, lambda w: "_".join(w), lambda w: f" {w} ")
ODD = ("", "0", "1", "ok", "Success", "Approvedd", "true", "None", "\u0410pproved")
UNKNOWN, REVIEW = ("unknown", "none", False), ("in_review", "review", False)
APPROVED, REJECTED = ("completed", "approved", True), ("completed", "rejected", True)
NOT_APPROVED = "not approved"  # where the documentation leaves open what a contradictory body is


def fixture(name):
    return json.loads(pathlib.Path(JOB["fixtures"], name, "body.json").read_text())


def put(body, path, value):
    """A copy of body with another value at a path of names and indexes with slashes."""
    body = copy.deepcopy(body)
    *way, last = (int(p) if p.isdigit() else p for p in path.split("/"))
    part = body
    for name in way:
        part = part[name]
    part[last] = value
    return body


def ondato():
    """A word of an identification is judged with the type of its message; sessions decide nothing."""
    body = fixture("ondato/kyc-identification-approved")
    rows = {"Approved": APPROVED, "Rejected": REJECTED, "Awaiting": ("processing", "none", False),
            "Unfinished": ("in_progress", "none", False)}
    for kind in ("Approved", "Rejected"):
        for word, spelt in itertools.product(rows, SPELLINGS):
            want = rows[word] if word == kind else UNKNOWN
            yield put(put(body, "type", "KycIdentification." + kind), "payload/status", spelt(word)), want
        for word in ODD:
            yield put(put(body, "type", "KycIdentification." + kind), "payload/status", word), UNKNOWN
    session = fixture("ondato/identity-verification-status-changed-completed")
    for word, status in (("Pending", "created"), ("InProgress", "in_progress"), ("Suspended", "in_progress"),
                         ("Completed", "processing"), ("Aborted", "abandoned"), ("Expired", "expired")):
        for spelt in SPELLINGS:
            yield put(session, "payload/status", spelt(word)), (status, "none", False)
    for word in ("Approved", "Rejected", *ODD):
        yield put(session, "payload/status", word), UNKNOWN


def idwise():
    """The decision of a person counts before that of the system, and the final one must not contradict it."""
    body = fixture("idwise/journey-result-complete")
    by_system = {"Complete": APPROVED, "Rejected": REJECTED, "Refer": REVIEW,
                 "Incomplete": ("in_progress", "none", False)}
    by_person = {"Approved": APPROVED, "Rejected": REJECTED,
                 "Resubmission Requested": ("requires_input", "resubmit", False)}
    agree = {"approved": {"Approved", "Complete"}, "rejected": {"Rejected"}, "review": {"Refer"},
             "resubmit": {"Refer", "Incomplete"}, "none": {"Incomplete"}}
    finals = (None, "Approved", "Rejected", "Complete", "Incomplete", "Refer", "Weird")
    for system, person, final in itertools.product([*by_system, *ODD], [None, *by_person, *ODD[1:]], finals):
        decided = dict(body, system_decision=system, manual_decision=person, final_decision=final)
        want = by_system.get(system) if person is None else by_person.get(person)
        if want is None or system not in (*by_system, "") or final not in (None, *agree[want[1]]):
            want = NOT_APPROVED
        yield decided, want


def kwikid():
    """The agent's word, the kind of the feedback, and the auditor's word."""
    body = fixture("kwikid/get-details-approved")
    rows = {"waiting": "created", "vkyc_requested": "in_progress", "agent_alloted": "in_progress",
            "kyc_request_accepted": "in_progress", "kyc_rejected": "canceled", "session_expired": "expired",
            "user_abandoned": "abandoned"}
    for word, status in rows.items():
        yield put(put(body, "session_data/session_status", word), "session_data/feedback", ""), (status, "none", False)
    for word in (*ODD, "kyc_approved", "kyc_result_partial_update", "KYC_RESULT_APPROVE"):
        yield put(body, "session_data/session_status", word), NOT_APPROVED
    feedback = {"": None, '{"type":"Approve"}': APPROVED, '{"type":"Reject"}': REJECTED, '{"type":"reject "}': REJECTED,
                '{"type":"Reopen"}': "call", '{"type":"Reschedule"}': "call"}
    audits = {None: None, "": None, "1": APPROVED, 1: APPROVED, "true": APPROVED, "0": REJECTED, "false": REJECTED,
              "2": NOT_APPROVED, "yes": NOT_APPROVED}
    for (word, own), (said, kind), (audit, checked) in itertools.product(
            {"approved": APPROVED, "rejected": REJECTED}.items(), feedback.items(), audits.items()):
        session = dict(body["session_data"], session_status="kyc_result_" + word, feedback=said, audit_result=audit)
        want = own
        if kind not in (None, own):
            want = NOT_APPROVED
        elif checked not in (None, own):
            want = {(APPROVED, REJECTED): REJECTED, (REJECTED, APPROVED): REVIEW}.get((own, checked), NOT_APPROVED)
        yield {"session_data": session, "status": 200}, want


def signzy():
    """A policy approves nothing that one value of the body speaks against."""
    body = fixture("signzy/get-journey-completed-full")
    for path in ("documentIntelligence/completeStatus/detailsOptical/imageQA", "documentIntelligence/imageQuality"):
        body = put(body, path, "True" if path.endswith("QA") else {"result": True})
    yield body, APPROVED
    optical = "documentIntelligence/completeStatus/"
    no, yes = ("False", "FALSE", "false", False), ("True", "TRUE", "true", True)
    against = {"selfieAnalysis/faceMatch/verified": (*no, None, "x", ""), "capturedData/consent": no,
               "selfieAnalysis/passiveLiveliness/liveness": (*no, None, "x", ""), optical + "optical": no,
               "selfieAnalysis/faceMatch/matchPercentage": ("79.99%", "0%", "NA", "", None, "0.99%", "101%"),
               "selfieAnalysis/passiveLiveliness/score": (0.49, "0.49", 0, None, 2),
               optical + "overallStatus": (*no, "None", "", None, "Maybe"),
               "documentIntelligence/imageQuality/result": no,
               "documentIntelligence/idExpired": yes, optical + "severity": ("High", "Low", "x"),
               "externalApiResponses/0/response/overallStatus": no, "currentStatus": (*ODD, "TERMINATED", "APPROVED"),
               "selfieAnalysis/additionalFaceChecks/maskDetection/result/found": yes, "step": ("RETRIES_EXCEEDED", "x"),
               "selfieAnalysis/additionalFaceChecks/faceCoverDetection/result/isFaceCovered": yes}
    against |= {optical + "detailsOptical/" + name: no for name in
                ("docType", "expiry", "imageQA", "mrz", "overallStatus", "security", "text", "vds")}
    against |= {"matchPercentage/" + name: ("0%", "0.00%") for name in body["matchPercentage"]}
    against |= {"ipAddresses/203.0.113.7/" + name: yes for name in ("proxy", "vpn", "tor")}
    against |= {"capturedData/" + name: ("Passport", "DOC") for name in
                ("idType2", "verificationType2", "frontCaptureMode2", "backCaptureMode3")}
    against["documentIntelligence/authenticityCheck/frontAuthenticityCheckList/liveness/0/ElementResult"] = no
    for path, values in against.items():
        for value in values:
            yield put(body, path, value), NOT_APPROVED


def main():
    cases, wanted = DIR / "mapping", {}
    settings = {"signzy": {"policy": {"min_face_match": 0.8, "min_liveness": 0.5}}}
    for provider, via in ((ondato, "callback"), (idwise, "fetch"), (kwikid, "poll"), (signzy, "fetch")):
        for i, (body, want) in enumerate(provider()):
            case = cases / provider.__name__ / f"{i:05d}"
            case.mkdir(parents=True)
            (case / "body.json").write_text(json.dumps(body))
            (case / "case.json").write_text(json.dumps({"via": via, "settings": settings.get(provider.__name__, {})}))
            wanted[case] = want
    subprocess.run([JOB["binary"], "test", cases, "--update"], stdout=subprocess.DEVNULL, check=True)
    faults, events = [], 0
    for case, want in wanted.items():
        data = json.loads((case / "golden.json").read_text()).get("data")
        got = data and (data["status"], data["decision"]["outcome"], data["decision"]["final"])
        events += data is not None
        right = want == got if want != NOT_APPROVED else data is None or data["decision"]["outcome"] != "approved"
        if not right:
            faults.append((case.relative_to(cases), want, got))
    expect(faults, "mapping")
    assert events > 1000, f"only {events} events"


main()
