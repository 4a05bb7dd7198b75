"""What a kernel says of itself when it starts, before any user code runs in it."""

from __future__ import annotations

from cellhouse_agent.wire import JsonObject

# The longest text that is passed on. The banner is the longest text of a kernel.
MAX_FACT_CHARACTERS = 1_000
OF_KERNEL = ("protocol_version", "implementation", "implementation_version", "banner")
OF_LANGUAGE = (
    "name",
    "version",
    "mimetype",
    "file_extension",
    "pygments_lexer",
    "nbconvert_exporter",
)


def kernel_facts(content: JsonObject) -> JsonObject:
    """The facts of a `kernel_info_reply`. What is missing becomes empty."""
    language = content.get("language_info")
    facts: JsonObject = _texts(content, OF_KERNEL)
    facts["language"] = _texts(language if isinstance(language, dict) else {}, OF_LANGUAGE)
    return facts


def _texts(content: JsonObject, names: tuple[str, ...]) -> JsonObject:
    texts: JsonObject = {}
    for name in names:
        value = content.get(name)
        texts[name] = value[:MAX_FACT_CHARACTERS] if isinstance(value, str) else ""
    return texts
