#!/usr/bin/env python3
"""Submit a file by the HTTP API of receiver, wait for the end of its job, fetch the result, errors and proof.

    SERVICE_URL=http://localhost:8081 SERVICE_TOKEN_FILE=shop.token python3 service.py demo contact contacts.csv order-7

The arguments are source, object, file and a key of yours. Run it again with the same key after a crash: that
makes no second job. Writes result.csv and proof.json; ends with 0 only if the job succeeded.
"""
import json, os, sys, time
from urllib.parse import quote
import requests

base = os.environ["SERVICE_URL"].rstrip("/")
with open(os.environ["SERVICE_TOKEN_FILE"], encoding="ascii") as f:
    token = f.read().strip()


def with_token(request):
    request.headers["Authorization"] = "Bearer " + token
    return request


session = requests.Session()
session.auth = with_token  # as auth, so that no .netrc replaces it


def call(method, path, file=None, to=None, **more):
    """Repeat a request until it is answered, for two minutes at most. Each request of this program may be repeated."""
    give_up = time.monotonic() + 120
    while True:
        pause = 1
        try:
            with open(file or os.devnull, "rb") as body:
                data = {"data": body} if file else {}
                answer = session.request(method, base + path, timeout=(10, 45), **data, **more)
            if answer.ok and to:
                with open(to, "wb") as out:
                    out.writelines(answer.iter_content(1 << 16))
            if answer.ok:
                return answer
            problem = answer.json()
            why = f"{answer.status_code}: {problem['detail']}"
            later = problem["type"].removeprefix("urn:receiver:problem:") in ("busy", "not-sealed")
            if answer.status_code not in (429, 502, 503) and not later:
                sys.exit(why)
            pause = int(answer.headers.get("Retry-After", pause))
        except requests.RequestException as e:  # no answer, or only the beginning of one
            why = str(e)
        if time.monotonic() + pause > give_up:
            sys.exit("no answer within two minutes: " + why)
        time.sleep(pause)


def lines(answer):
    """Cut at LF or CR LF. It leaves out an event that the end of the connection cut off. iter_lines makes two lines of CR LF."""
    line = bytearray()
    for byte in answer.iter_content(1):  # for more, it would wait
        line += byte
        if byte == b"\n":
            yield line.rstrip(b"\r\n").decode()
            line.clear()


def events(answer):
    """Yield id, kind and data of Server-Sent Events; an id without data has the data None."""
    last, kind, data = None, "message", []
    for line in lines(answer):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            last = value
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif not line:  # the end of an event; a comment is a line without a name
            yield last, kind, "\n".join(data) if data else None
            kind, data = "message", []


def ended(job_path):
    job = call("GET", job_path).json()
    return job["job"] if job["state"] in ("finished", "conflict") else None


def follow(source, job, job_path, last):
    """Wait for the finished event of a job, behind the event last. A service keeps last with its own data."""
    while True:
        query = {"source": source, "kind": "finished"}
        try:
            # After 45 seconds without a byte this fails: a heartbeat comes every 15.
            with call("GET", "/v1/events", params=query, headers={"Last-Event-ID": last}, stream=True) as answer:
                print(f"events: behind {last}")
                for number, kind, data in events(answer):
                    last = number or last
                    if kind == "finished" and data and json.loads(data)["job"]["id"] == job:
                        print(f"event {last}: job {job} is finished")
                        return json.loads(data)["job"]
                    if kind == "gap" and ended(job_path):  # older events than the stream keeps
                        return ended(job_path)
        except requests.RequestException:
            pass
        time.sleep(1)


def main(source, object_, file, key):
    at = f"/v1/sources/{quote(source, safe='')}"
    names = [o["name"] for o in call("GET", at + "/objects").json()["objects"]]
    print("objects:", *names)
    at_object = f"{at}/objects/{quote(object_, safe='')}"
    print("fields:", *(f["vendor_path"] for f in call("GET", at_object).json()["fields"]))

    with open(file, "rb") as f:
        head = f.read(1 << 16)
    csv = {"Content-Type": "text/csv"}
    report = call("POST", at_object + "/preflight", params={"file_name": file}, headers=csv, data=head).json()
    print(f"preflight: {report['rows']} rows, {report['errors']} errors")
    if report["errors"]:
        sys.exit("\n".join(f["message"] for f in report["findings"]))

    last = str(call("GET", "/v1/jobs", params={"limit": 1}).json()["last"])  # the events from here on
    while True:
        answer = call("POST", at + "/jobs", file, params={"object": object_}, headers={"Idempotency-Key": key, **csv})
        made = answer.json()
        while made["state"] in ("pending", "unknown"):  # the receiver asks the platform
            print(f"submission {made['submission']}: {made['state']}")
            time.sleep(1)
            made = call("GET", answer.headers["Location"]).json()
        if made["state"] == "submitted":
            break
    job = made["job"]
    print(f"submitted: job {job}")

    at_job = f"{at}/jobs/{quote(job, safe='')}"
    end = ended(at_job) or follow(source, job, at_job, last)  # it has ended if an earlier run submitted it
    print(f"job {job}: {end['result']}, {end.get('records', '?')} records, {end.get('failed', '?')} failed")
    if end["result"] != "succeeded":
        sys.exit(1)

    call("GET", at_job + "/result", to="result.csv", stream=True)
    print("result: result.csv")
    errors = call("GET", at_job + "/errors").json()["errors"]
    print("errors:", len(errors), *(e["text"] for e in errors))
    callbacks = call("GET", "/v1/callbacks", params={"job": job, "verdict": "accepted"}).json()["callbacks"]
    record = next((c for c in callbacks if c["kind"] == "finished"), None)
    if not record:
        sys.exit("no callback ended the job, so there is no proof: the receiver polled the platform")
    call("GET", f"/v1/callbacks/{record['stream']}/{record['sequence']}/bundle", to="proof.json", stream=True)
    print(f"proof: proof.json, of {record['id']}")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    sys.stdout.reconfigure(line_buffering=True)
    main(*sys.argv[1:])
