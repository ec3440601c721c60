"""Every read operation of the OpenAPI document answers as its schema says; problems are those of RFC 9457."""

import json
import re

from job import DATA, event_schemas, events, expect, get
from schema import Schemas

METHODS = {"get", "post", "put", "delete", "patch", "head", "options", "trace"}


def references(node):
    """Every $ref below node."""
    if isinstance(node, dict):
        yield from [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
        yield from references(child)


def document_faults(api, schemas):
    """What OpenAPI 3.1 demands of the document itself."""
    out, names = [], []
    for reference in set(references(api)):
        try:
            schemas.resolve("api", reference)
        except (KeyError, TypeError):
            out.append(f"{reference} leads nowhere")
    for path, item in api["paths"].items():
        for method in METHODS & item.keys():
            operation = item[method]
            names.append(operation["operationId"])
            given = [schemas.resolve("api", p["$ref"])[1] if "$ref" in p else p
                     for p in operation.get("parameters", []) + item.get("parameters", [])]
            in_path = {p["name"] for p in given if p["in"] == "path"}
            if in_path != set(re.findall(r"{(\w+)}", path)):
                out.append(f"{method} {path}: parameters {in_path}")
            statuses = [s for s in operation["responses"] if not re.fullmatch(r"[1-5]\d\d|default", s)]
            out += [f"{method} {path}: {s}" for s in statuses]
    assert api["openapi"].startswith("3.1.") and len(names) == len(set(names)), names
    return out


def answer_faults(api, schemas, operation, path, **headers):
    """Calls one operation, and compares the answer with what the document says of its status."""
    status, answered, body = get(path, **headers)
    responses = api["paths"][operation]["get"]["responses"]
    if str(status) not in responses:
        return [f"{path}: {status} is not in the document"]
    response = responses[str(status)]
    if "$ref" in response:
        response = schemas.resolve("api", response["$ref"])[1]
    kind = answered["Content-Type"].partition(";")[0]
    if kind not in response["content"]:
        return [f"{path}: {kind} is not in the document"]
    many = kind == "application/x-ndjson"
    values = [json.loads(part) for part in (body.splitlines() if many else [body])]
    want = response["content"][kind]["schema"]
    return [f"{path} {status}: {fault}" for value in values for fault in schemas.faults("api", want, value)]


def calls():
    """Operations and paths to read: answers with content, and problems."""
    last = [d for d in (json.loads(m.data)["data"] for m in events()) if "idv_id" in d["provider"]["references"]][-1]
    reference = last["provider"]["references"]["idv_id"]
    one = "/v1/verifications/{provider}/{account}/{reference}"
    payload = last["payload"]["id"]
    yield from [("/v1/openapi.json",) * 2, ("/v1/config/diff",) * 2, ("/v1/payloads/holds",) * 2, ("/v1/access",) * 2]
    yield from [("/v1/payloads",) * 2, ("/v1/payloads", "/v1/payloads?status=quarantined&limit=3")]
    yield from [("/v1/payloads/report",) * 2, ("/v1/payloads/export", "/v1/payloads/export?limit=2")]
    yield "/v1/payloads", "/v1/payloads?since=never"
    yield "/v1/payloads/{id}", f"/v1/payloads/{payload}"
    yield "/v1/payloads/{id}", f"/v1/payloads/{payload}?reveal=true"
    yield "/v1/payloads/{id}", "/v1/payloads/nothing.of.this.kind"
    yield "/v1/verifications", f"/v1/verifications?q={last['verification_id']}&timeline=true"
    yield "/v1/verifications", "/v1/verifications?q=nothing-of-this-kind"
    yield one, f"/v1/verifications/ondato/{last['account']}/{reference}"
    yield one, f"/v1/verifications/ondato/nobody/{reference}"


def problem_faults():
    """RFC 9457 of an answer without a token."""
    status, headers, body = get("/v1/payloads", token=False)
    problem = json.loads(body)
    assert (status, headers["Content-Type"]) == (401, "application/problem+json"), (status, headers)
    assert headers["WWW-Authenticate"], "401 without WWW-Authenticate"
    return [] if problem["status"] == 401 and problem["title"] and "type" in problem else [problem]


def main():
    status, _, body = get("/v1/openapi.json", token=False)
    api = json.loads(body)
    schemas = Schemas(api=api)
    expect(document_faults(api, schemas), "document")
    made = list(calls())
    left = {p for p, item in api["paths"].items() if "get" in item} - {operation for operation, _ in made}
    assert left == {"/v1/verifications/{provider}/{account}/{reference}/media/{ref}"}, left
    headers = {"X-Reason": "case 1"}
    faults = [f for operation, path in made for f in answer_faults(api, schemas, operation, path, **headers)]
    expect(faults + problem_faults(), "answers")
    state = json.loads(get(made[-2][1])[2])
    shapes = event_schemas()
    expect(shapes.faults(DATA, shapes.documents[DATA], state), "state")


main()
