"""`${NAME}` in a campaign file: environment variables in the text of a value."""

import re
from collections.abc import Mapping
from typing import Final

RESERVED: Final = ("INRO_", "CAMPAIGN_")
_FORM: Final = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|\$\{[^}\n]{0,40}\}?")


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """The text with each `${NAME}` replaced by that variable's value, and each `$${` by `${`.

    What is put in is not looked at again. Raises a ValueError for a variable that is unset, is not a name, or is
    one of ours: a token, INRO_API_TOKEN, must not end up in a message.
    """

    def value(found: re.Match[str]) -> str:
        name = found["name"]
        if found[0] == "$${":
            return "${"
        if name is None:
            raise ValueError(f"{found[0]!r} is no variable; accepted are ${{NAME}}, and $${{ for ${{ itself")
        if name.upper().startswith(RESERVED):
            raise ValueError(f"${{{name}}} is kept out; accepted are names without INRO_ or CAMPAIGN_")
        if name not in environ:
            raise ValueError(f"${{{name}}} is not set; accepted are variables of the environment")
        return environ[name]

    return _FORM.sub(value, text)
