"""What no schema can say: makes of a request that the document allows one that must not be refused, nor wait."""

import hashlib
import re

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    # Few names, so that what is written is read; a sequence of requests has its own.
    if case.meta.phase.name.value != "stateful":
        for name, value in (case.path_parameters or {}).items():
            if re.fullmatch("[a-z0-9]{1,32}", str(value)):
                case.path_parameters[name] = one_of_two(name, value)
    # Also of requests that the document does not allow: they shall be refused for that alone.
    query, headers = case.query or {}, case.headers or {}
    # A revision to come is waited for, or refused.
    for name in ("minRevision", "revision", "at"):
        if str(query.get(name, "")).isdigit():
            query[name] = "0"
    if "at" in query and query.get("minRevision") == "0":
        del query["minRevision"]
    if "If-Match" in headers and headers.get("If-None-Match") == "*":
        del headers["If-None-Match"]
    # The id of another operation is refused; the same request again is the same operation.
    if re.fullmatch("[A-Za-z0-9._-]{1,64}", headers.get("Portolan-Operation-Id", "")):
        said = repr((case.method, case.path, case.path_parameters, query, case.body))
        headers["Portolan-Operation-Id"] = hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()
    if case.meta.generation.mode.is_positive and isinstance(case.body, dict):
        agree(case.body)


def one_of_two(name, value):
    return name[0] + str(len(value) % 2)


def agree(body):
    """Fields that depend on each other or on paths, in bodies of all operations."""
    if body.get("hostId"):
        body["hostId"] = one_of_two("hostId", body["hostId"])
    for i, share in enumerate(body.get("split") or []):
        share["version"] = i + 1
        share["share"] = 0 if i else 10_000
    check = body.get("check") or {}
    if check.get("kind") != "HTTP":
        check.pop("path", None)
    limits = body.get("limits") or {}
    if not limits.get("maxConnections"):
        limits.pop("maxQueue", None)
    policy = body.get("policy") or {}
    if policy.get("baseMs") is not None or policy.get("maxMs") is not None:
        policy["baseMs"] = 0
