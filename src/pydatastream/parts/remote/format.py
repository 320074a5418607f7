"""The format of remote files."""

from __future__ import annotations

from pydantic import SerializeAsAny

from pydatastream.core.component import Component
from pydatastream.core.errors import ConfigError
from pydatastream.core.format import Format


class Formatted(Component):
    """Its files are written in a format."""

    format: SerializeAsAny[Format] | None = None
    """How rows are written in a file; by default what the names' ending says."""

    def form(self) -> Format:
        """The format; `ConfigError` if it is not known."""
        if self.format is None:
            raise ConfigError(f"{self.type_name()} needs a `format:`", hint="format: json")
        return self.format
