"""What became of one prompt, and what moderators did, as lines of text. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from broadcaster.cli.common import plain
from broadcaster.cli.logrows import clock, flat, iso, text_line


def story_lines(found: dict[str, Any]) -> Iterator[str]:
    """`found` is a `prompt_story`."""
    yield f"{found['id']}  {found['kind']}  {found['lane']}  {_outcome(found)}"
    yield f"received  {clock(found['received_ns'])}" + _until(found)
    who = "/".join(plain(str(part)) for part in (found["source"], found["viewer_name"] or found["author"]) if part)
    yield f"from      {who} ({found['role']})" + (f", {plain(found['viewer_id'])}" if found["viewer_id"] else "")
    if found["text"]:
        yield f"text      {plain(found['text'])}"
    if found["event"]:
        yield f"event     {found['event']} {plain(found['item'])} x{found['count']}".rstrip()
    if found["paid"]:
        yield f"paid      {found['paid'] / 1000:.2f} yuan"
    if found["alike"] > 1:
        yield f"alike     {found['alike']} said the same"
    if found["why"]:
        yield f"why       {plain(found['why'])}"
    for post in found["posts"]:
        yield f"post      {plain(post['key'])}  {post['kind']}  {post['price'] / 1000:.2f} yuan  {_outcome(post)}"
    for decision in found["decisions"]:
        yield f"decided   {decision_line(decision)}"
    for row in found["sentences"]:
        yield text_line(row)


def decision_line(row: dict[str, Any]) -> str:
    what = " ".join(plain(str(part)) for part in (row["prompt"], row["viewer"], row["detail"]) if part)
    return f"{clock(row['at_ns'])}  {plain(row['action']):<10}  {plain(row['by_whom']):<24}  {what}".rstrip()


def story_json(found: dict[str, Any]) -> str:
    """With times as text; `why` as what it is."""
    made = {**found, "sentences": [flat(row) for row in found["sentences"]]}
    for name in ("why", "given"):
        made[name] = json.loads(found[name]) if found[name] else None
    made["received"], made["finished"] = iso(made.pop("received_ns")), iso(made.pop("finished_ns"))
    made["decisions"] = [decision_json(row) for row in found["decisions"]]
    return json.dumps(made, ensure_ascii=False, indent=2)


def decision_json(row: dict[str, Any]) -> dict[str, Any]:
    made = dict(row)
    return {"at": iso(made.pop("at_ns")), **made}


def _outcome(row: dict[str, Any]) -> str:
    return f"{row['state']} ({plain(row['reason'])})" if row["reason"] else str(row["state"])


def _until(found: dict[str, Any]) -> str:
    if found["finished_ns"] is None:
        return ""
    seconds = (found["finished_ns"] - found["received_ns"]) / 1e9
    return f", over {clock(found['finished_ns'])} ({seconds:.1f} s later)"
