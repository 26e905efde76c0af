#!/usr/bin/env python3
"""Writes rules.yaml and dashboard.json beside this file: what is worth an alert, and what is worth a look.

What each alert means and what to do is k8s/README.md's, under its name. `tests/k8s/validate` checks that both files
are what this makes, that every expression is understood, and that every metric and label is one that Ting has.
"""

import json
import pathlib
import re

HERE = pathlib.Path(__file__).parent
TING = 'job="ting"'

# Sockets that a pod takes, as base/ting.toml says. An overlay that sets another limit changes it there, too.
CONNECTIONS = int(re.search(r"^limits\.connections = (\d+)", (HERE / "../../base/ting.toml").read_text(), re.M)[1])
# From so many on TingFull wakes somebody: there is a fifth left to react in.
FULL = CONNECTIONS * 8 // 10


def of(metric, *matchers):
    return f"{metric}{{{', '.join((TING, *matchers))}}}"


def by(*labels):
    """Several Tings may be watched by one Prometheus."""
    return f"by ({', '.join(('namespace', *labels))})"


def rate(metric, *matchers, over=(), window="5m"):
    return f"sum {by(*over)} (rate({of(metric, *matchers)}[{window}]))"


def quantile(q, metric, over=(), window="5m"):
    return f"histogram_quantile({q}, sum {by('le', *over)} (rate({of(metric + '_bucket')}[{window}])))"


def each_pod(metric):
    return f"max {by('pod')} ({of(metric)})"


def grew(metric, over, window="15m"):
    """Counted since: a counter is there from its first count on, which increase() takes for no growth."""
    one = of(metric)
    return f"sum {by(*over)} ((increase({one}[{window}]) > 0) or ({one} unless {one} offset {window}))"


SERVER_ERRORS = 'status=~"5.."'
# The others are people who sign out, clients that never sign in, and rolling updates.
TROUBLE = 'why=~"stalled|deaf|restarted|unavailable|orphaned"'

# name, severity, for, what it says, expression. `page` wakes somebody, `ticket` waits for the morning.
ALERTS = [
    ("TingAway", "page", "1m", "No node of Ting answers",
     f"sum {by()} (up{{{TING}}}) == 0 or absent(up{{{TING}}})"),
    ("TingNodeAway", "ticket", "5m", "{{ $labels.pod }} does not answer",
     f"up{{{TING}}} == 0"),
    ("TingNotReady", "page", "5m", "{{ $labels.pod }} runs and is not ready",
     f"{of('ting_ready')} == 0"),
    ("TingRequestsFail", "page", "5m", "{{ $value | humanizePercentage }} of the requests fail",
     f"{rate('ting_http_requests_total', SERVER_ERRORS)} / {rate('ting_http_requests_total')} > 0.01"),
    ("TingRequestsSlow", "ticket", "10m", "The slowest percent of the requests takes over {{ $value | humanizeDuration }}",
     f"{quantile(0.99, 'ting_http_seconds')} > 1"),
    ("TingTypingSlow", "page", "10m", "The slowest percent of what is typed is shown after {{ $value | humanizeDuration }}",
     f"{quantile(0.99, 'ting_keystroke_delivery_seconds')} > 0.5"),
    ("TingStoreFails", "page", "3m", "{{ $value | humanizePercentage }} of what is asked of the database is not answered",
     f"{rate('ting_store_failures_total')} / {rate('ting_store_seconds_count')} > 0.01"),
    ("TingStoreSlow", "ticket", "10m", "The slowest percent of the database's answers takes over {{ $value | humanizeDuration }}",
     f"{quantile(0.99, 'ting_store_seconds')} > 0.5"),
    ("TingFull", "page", "5m", "{{ $labels.pod }} has {{ $value }} of %d sockets" % CONNECTIONS,
     f"{each_pod('ting_sockets')} > {FULL}"),
    ("TingConnectionsRefused", "ticket", "10m", "{{ $value | humanize }} connections a second meet the limit {{ $labels.limit }}",
     f"{rate('ting_connections_refused_total', over=['limit'])} > 0.1"),
    ("TingSocketsEnded", "ticket", "10m", "{{ $value | humanize }} sockets a second are ended as {{ $labels.why }}",
     f"{rate('ting_sockets_killed_total', TROUBLE, over=['why'])} > 1"),
    ("TingPasswordsRefused", "ticket", "10m", "{{ $value | humanize }} sign-ins a second are refused as too many wait",
     f"{rate('ting_passwords_refused_total')} > 0.1"),
    # Pods are looked at one after the other, so in a rollout they differ all the time: longer than twelve of them take.
    ("TingMembersDisagree", "page", "10m", "Nodes disagree about who is a member",
     f"max {by()} ({of('ting_view_version')}) - min {by()} ({of('ting_view_version')}) > 0"),
    ("TingMembersComeAndGo", "ticket", "0m", "Who is a member changed {{ $value }} times in an hour",
     f"max {by()} (max_over_time({of('ting_view_version')}[1h])) - min {by()} (min_over_time({of('ting_view_version')}[1h])) > 60"),
    ("TingLinksSlow", "ticket", "10m", "The slowest percent of round trips between nodes takes over {{ $value | humanizeDuration }}",
     f"{quantile(0.99, 'ting_link_round_trip_seconds')} > 0.25"),
    ("TingLinksOverflow", "ticket", "0m", "{{ $labels.pod }} could not give other nodes all that was typed",
     f"{grew('ting_link_frames_dropped_total', ['pod'])} > 0"),
    ("TingReleasesDiffer", "ticket", "0m", "{{ $labels.pod }} was told things that it does not understand",
     f"{grew('ting_envelopes_refused_total', ['pod'])} > 0"),
    ("TingActorRestarted", "ticket", "0m", "An actor `{{ $labels.actor }}` failed on {{ $labels.pod }} and was started anew",
     f"{grew('ting_actor_restarts_total', ['pod', 'actor'])} > 0"),
    ("TingSpansLost", "ticket", "30m", "Traces do not reach their collector",
     f"{rate('ting_spans_lost_total')} > 0"),
]

# title, unit, [(legend, expression)]; rows of three.
ROWS = [
    ("What people notice", [
        ("From a key to the viewers' sockets", "s", [
            ("half", quantile(0.5, "ting_keystroke_delivery_seconds")),
            ("99 %", quantile(0.99, "ting_keystroke_delivery_seconds"))]),
        ("People online, connections", "short", [
            ("people", f"max {by()} ({of('ting_people_online')})"),
            ("connections", f"max {by()} ({of('ting_connections')})")]),
        ("Sockets of each pod", "short", [("{{pod}}", each_pod("ting_sockets"))]),
        ("Keys a second", "short", [("keys", rate("ting_keystrokes_total"))]),
        ("Messages being typed", "short", [("messages", f"sum {by()} ({of('ting_typing_messages')})")]),
        ("Sign-ins a second", "short", [("{{outcome}}", rate("ting_sign_ins_total", over=["outcome"]))]),
    ]),
    ("Requests", [
        ("Slowest percent, by route", "s", [("{{route}}", quantile(0.99, "ting_http_seconds", over=["route"]))]),
        ("Requests a second, by status", "short", [("{{status}}", rate("ting_http_requests_total", over=["status"]))]),
        ("Refused a second", "short", [
            ("over a limit", rate("ting_http_limited_total")),
            ("past the deadline", rate("ting_http_deadlines_total")),
            ("foreign origin", rate("ting_http_foreign_origins_total")),
            ("passwords waiting", rate("ting_passwords_refused_total"))]),
    ]),
    ("The store", [
        ("Slowest percent, by operation", "s", [("{{operation}}", quantile(0.99, "ting_store_seconds", over=["operation"]))]),
        ("Not answered, a second", "short", [("{{operation}}", rate("ting_store_failures_total", over=["operation"]))]),
        ("Waiting", "short", [
            ("operations, {{pod}}", each_pod("ting_store_in_flight")),
            ("writes (embedded), {{pod}}", each_pod("ting_store_writes_queued"))]),
        ("Answered last: 1, or not: 0", "short", [("{{pod}}", each_pod("ting_store_answers"))]),
    ]),
    ("The cluster", [
        ("Ready: 1, or not: 0", "short", [("{{pod}}", each_pod("ting_ready"))]),
        ("Version of the view", "short", [("{{pod}}", each_pod("ting_view_version"))]),
        ("Round trip between nodes", "s", [
            ("half", quantile(0.5, "ting_link_round_trip_seconds")),
            ("99 %", quantile(0.99, "ting_link_round_trip_seconds"))]),
        ("Went wrong, a second", "short", [
            ("frames dropped", rate("ting_link_frames_dropped_total")),
            ("envelopes refused", rate("ting_envelopes_refused_total")),
            ("restarted: {{actor}}", rate("ting_actor_restarts_total", over=["actor"]))]),
        ("Lease left", "s", [("{{pod}}", each_pod("ting_lease_left_seconds"))]),
        ("Members", "short", [("{{state}}", f"max {by('state')} ({of('ting_members')})")]),
        ("Shards owned", "short", [("{{pod}}", each_pod("ting_shards_owned"))]),
        ("Taken up, a second", "short", [
            ("conversations", rate("ting_epochs_total")),
            ("shards, last owner {{last_owner}}", rate("ting_takeovers_total", over=["last_owner"]))]),
        ("Said to other nodes, not taken in yet", "bytes", [("{{pod}}", each_pod("ting_link_unacknowledged_bytes"))]),
    ]),
    ("Sockets", [
        ("Frames, and packets of them, a second", "short", [
            ("frames from owners", rate("ting_frames_total")),
            ("encoded once", rate("ting_packets_encoded_total")),
            ("sent", rate("ting_packets_sent_total"))]),
        ("Ended by this side, a second", "short", [
            ("{{why}}", rate("ting_sockets_killed_total", over=["why"])),
            ("stopped reading", rate("ting_connections_stalled_total"))]),
        ("Refused, a second", "short", [
            ("connection: {{limit}}", rate("ting_connections_refused_total", over=["limit"])),
            ("event: {{why}}", rate("ting_events_refused_total", over=["why"]))]),
    ]),
    ("What takes memory", [
        ("Conversations open", "short", [("{{pod}}", each_pod("ting_conversations"))]),
        ("Sessions", "short", [("{{pod}}", each_pod("ting_sessions"))]),
        ("Relays; passwords looked at", "short", [
            ("relays, {{pod}}", each_pod("ting_relays")),
            ("passwords, {{pod}}", each_pod("ting_passwords_working"))]),
    ]),
]


def rules():
    lines = [
        "# Made by generate.py; change that.",
        "apiVersion: monitoring.coreos.com/v1",
        "kind: PrometheusRule",
        "metadata:",
        "  name: ting",
        "  namespace: ting",
        "  labels: {app.kubernetes.io/name: ting, app.kubernetes.io/part-of: ting}",
        "spec:",
        "  groups:",
        "    - name: ting",
        "      rules:",
    ]
    for name, severity, wait, summary, expression in ALERTS:
        lines += [
            f"        - alert: {name}",
            f"          expr: {json.dumps(expression)}",
            f"          for: {wait}",
            f"          labels: {{severity: {severity}}}",
            "          annotations:",
            f"            summary: {json.dumps(summary)}",
            f"            runbook: k8s/README.md#{name.lower()}",
        ]
    return "\n".join(lines) + "\n"


def dashboard():
    panels, y, source = [], 0, {"type": "prometheus", "uid": "${datasource}"}
    for row, graphs in ROWS:
        panels.append({"type": "row", "title": row, "collapsed": False, "panels": [], "id": len(panels) + 1,
                       "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        y += 1
        for number, (title, unit, queries) in enumerate(graphs):
            panels.append({
                "type": "timeseries", "title": title, "id": len(panels) + 1, "datasource": source,
                "gridPos": {"x": number % 3 * 8, "y": y + number // 3 * 8, "w": 8, "h": 8},
                "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
                "targets": [
                    {"refId": chr(ord("A") + n), "datasource": source, "legendFormat": legend,
                     "expr": expression.replace(TING, TING + ', namespace="$namespace"')}
                    for n, (legend, expression) in enumerate(queries)],
            })
        y += -(-len(graphs) // 3) * 8
    namespaces = f"label_values({of('ting_store_in_flight')}, namespace)"
    return {
        "title": "Ting", "uid": "ting", "schemaVersion": 39, "editable": False, "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"}, "tags": ["ting"], "panels": panels,
        "templating": {"list": [
            {"name": "datasource", "type": "datasource", "query": "prometheus", "hide": 0},
            {"name": "namespace", "type": "query", "datasource": source, "refresh": 2, "hide": 0,
             "query": {"query": namespaces, "refId": "namespaces"}, "definition": namespaces}]},
    }


if __name__ == "__main__":
    (HERE / "rules.yaml").write_text(rules())
    (HERE / "dashboard.json").write_text(json.dumps(dashboard(), indent=1) + "\n")
