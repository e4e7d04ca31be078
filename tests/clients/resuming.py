"""The official SDKs with the probes that resume; see probes/resume_python.py for their language."""

import json

from sdk import Sdk, run_probe

PROBE_OF = {"openai_python.py": "resume_python.py", "openai_node.mjs": "resume_node.mjs"}


def ask(sdk: Sdk, base_url: str, *calls: dict, api_key: str = "sk-none") -> list[dict]:
    """Makes the calls in order."""
    command = [PROBE_OF.get(part, part) for part in sdk.command]
    return json.loads(run_probe(*command, base_url, api_key, json.dumps(calls)))


def text(chunks: list[dict]) -> str:
    """What the first choice says."""
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def is_whole(chunks: list[dict]) -> bool:
    """It begins with the role and ends with a reason."""
    return "role" in chunks[0]["choices"][0]["delta"] and chunks[-1]["choices"][0]["finish_reason"] is not None


def without_ids(chunks: list[dict]) -> list[dict]:
    """Chunks without what differs between two runs of a request, after a look that it does not within one."""
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks}) == 1
    return [chunk | {"id": "", "created": 0} for chunk in chunks]
