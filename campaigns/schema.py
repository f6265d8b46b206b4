"""The JSON Schema of a campaign file: editors complete and explain keys by it, and mark mistakes."""

from typing import Any

from campaigns.model import CampaignKeys


def campaign_schema() -> dict[str, object]:
    """The JSON Schema of the file as people write it: its own key names, durations and rates as text."""
    schema = CampaignKeys.model_json_schema(by_alias=True)
    for name, model in schema["$defs"].items():
        if name.endswith("Message") and name != "TextMessage":
            model["required"] = ["type", *model.get("required", [])]
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, "title": "Inrō campaign", **_tidied(schema)}


def _tidied(schema: Any) -> Any:
    """Without what no campaign file says: null, values that Python made, and titles that repeat the key."""
    if isinstance(schema, list):
        return [_tidied(part) for part in schema if part != {"type": "null"}]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _tidied(part) for key, part in schema.items() if not _is_noise(key, part)}
    alternatives = kept.get("anyOf", ())
    if len(alternatives) == 1:
        del kept["anyOf"]
        kept |= alternatives[0]
    return kept


def _is_noise(key: str, part: object) -> bool:
    return (key == "title" and isinstance(part, str)) or (key == "default" and (part is None or isinstance(part, dict)))
