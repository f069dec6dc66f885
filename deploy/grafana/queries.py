#!/usr/bin/env python3
"""Runs every query of receiver.json and every rule of ../alerts.yaml in a real Prometheus that scrapes a real receiver.

    deploy/grafana/queries.py RECEIVER      # the program; needs prometheus on PATH (Debian: apt-get install prometheus)

It starts `RECEIVER demo`, whose simulated platform runs a job, calls back and forges callbacks, and a Prometheus with
the file that ../prometheus/prometheus.yaml is the example of. A query that fails to parse is a fault, and so is one
without data, unless it shows something that the demonstration does not have. Exits 1 for faults. Takes half a minute.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

here = os.path.dirname(os.path.abspath(__file__))
# Series that exist, or have all their labels, only where sinks, an edge, certificates, anchors, traces or tokens are configured, or in `serve`.
CONFIGURED = re.compile(r"\breceiver_(sink|edge|certificate|audit_anchor|trace|log_lines_dropped|private_requests)_")
LIMIT = 60  # seconds, for each thing that is waited for


def wait(what, done):
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        try:
            found = done()
        except (OSError, urllib.error.URLError):
            found = None
        if found:
            return found
        time.sleep(0.2)
    sys.exit(f"{what}: not within {LIMIT} s")


def get(url, **parameters):
    full = url + ("?" + urllib.parse.urlencode(parameters) if parameters else "")
    try:
        with urllib.request.urlopen(full, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        return json.load(refused)


def started(steps):
    """The address of the private listener, once the demonstration has made its last step."""
    private = None
    with open(steps, encoding="utf-8") as lines:
        for line in lines:
            step = json.loads(line) if line.endswith("\n") and line.startswith("{") else {}
            private = step.get("private", private)
            if step.get("logs"):
                return private
    return None


def config(folder, target):
    """The example, with this target, without a token, and scraped each second."""
    with open(os.path.join(here, "../prometheus/prometheus.yaml"), encoding="utf-8") as example:
        text = example.read()
    for pattern, new in {
        r"15s": "1s",
        r"- alerts\.yaml": "- " + os.path.normpath(os.path.join(here, "../alerts.yaml")),
        r"(?m)^ +authorization:\n +credentials_file:.*\n": "",
        r'"127\.0\.0\.1:8081"': f'"{target}"',
    }.items():
        text, changed = re.subn(pattern, lambda _: new, text)
        if not changed:
            sys.exit(f"prometheus.yaml has no {pattern}")
    path = os.path.join(folder, "prometheus.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def queries(dashboard):
    """The queries of the panels, with the variables as Grafana fills them in, and whether each must have data."""
    values = {"$job": "receiver", "$instance": ".*", "$source": ".*", "$__rate_interval": "15s"}
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            text = re.sub(r"\$\w+", lambda m: values[m[0]], target["expr"])
            optional = text.startswith("ALERTS") or re.search(r"> 0$", text) or CONFIGURED.search(text)
            yield f"{panel['title']} {target['refId']}", text, not optional
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            series, _ = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"]).groups()
            yield f"variable {variable['name']}", series.replace("$job", "receiver"), True


def misspelt(prometheus, texts):
    """Names of series, labels and words of labels that no series has: such a query has no data, and such an alert never fires."""
    series = {}
    for labels in get(prometheus + "/api/v1/series", **{"match[]": '{__name__=~"receiver_.+"}'})["data"]:
        values = series.setdefault(labels["__name__"], {})
        for label, value in labels.items():
            values.setdefault(label, set()).add(value)
    for where, text in texts:
        for name, matchers in re.findall(r"\b(receiver_\w+)(?:\{([^}]*)\})?", text):
            if CONFIGURED.match(name):
                continue
            if name not in series:
                yield f"{where}: there is no {name}"
                continue
            for label, words in re.findall(r'(\w+)(?:=~|!~|!=|=)"([\w|-]+)"', matchers):
                for word in words.split("|"):
                    if word not in series[name].get(label, ()):
                        yield f"{where}: no {name} has {label}={word}"


def check(prometheus):
    faults = []
    with open(os.path.join(here, "receiver.json"), encoding="utf-8") as file:
        all_queries = list(queries(json.load(file)))
    with_data = 0
    for name, text, needed in all_queries:
        answer = get(prometheus + "/api/v1/query", query=text)
        if answer["status"] != "success":
            faults.append(f"{name}: {answer['error']}: {text}")
        elif answer["data"]["result"]:
            with_data += 1
        elif needed:
            faults.append(f"{name}: no data: {text}")
    rules = [r for g in get(prometheus + "/api/v1/rules")["data"]["groups"] for r in g["rules"]]
    faults += [f"{r['name']}: {r['lastError']}" for r in rules if r["health"] != "ok"]
    firing = sorted(r["name"] for r in rules if r["state"] == "firing")
    if firing:
        faults.append(f"alerts fire for a receiver that is well: {firing}")
    faults += misspelt(prometheus, [(r["name"], r["query"]) for r in rules] + [(name, text) for name, text, _ in all_queries])
    print(f"{len(all_queries)} queries, {with_data} with data; {len(rules)} rules evaluated; {len(faults)} faults")
    return faults


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()


def main(program):
    running = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            steps = os.path.join(folder, "steps")
            with open(steps, "w", encoding="utf-8") as out:
                running.append(subprocess.Popen([program, "demo", "--json"], stdout=out, stderr=subprocess.DEVNULL, cwd=folder))
            private = wait("the demonstration", lambda: started(steps))
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                listen = f"127.0.0.1:{s.getsockname()[1]}"
            running.append(subprocess.Popen(
                ["prometheus", "--config.file=" + config(folder, private.removeprefix("http://")), "--storage.tsdb.path=" + os.path.join(folder, "data"),
                 "--web.listen-address=" + listen, "--log.level=error"], cwd=folder))
            prometheus = "http://" + listen
            # rate() needs two samples.
            wait("five scrapes", lambda: get(private + "/v1/jobs") and int((get(prometheus + "/api/v1/query", query="count_over_time(up[1m])")["data"]["result"] or [{"value": [0, "0"]}])[0]["value"][1]) >= 5)
            wait("the first evaluation of all rules", lambda: all(r["health"] != "unknown" for g in get(prometheus + "/api/v1/rules")["data"]["groups"] for r in g["rules"]))
            faults = check(prometheus)
        finally:
            for process in reversed(running):
                stop(process)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(os.path.abspath(sys.argv[1])))
