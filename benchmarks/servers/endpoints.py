"""Where the servers on Twisted listen."""

from __future__ import annotations

from common import Options


def endpoint(options: Options) -> str:
    """For `serverFromString`."""
    where = f"{options.port}:interface=127.0.0.1:backlog=1024"
    if options.certificate is None:
        return f"tcp:{where}"
    return f"ssl:{where}:certKey={options.certificate}:privateKey={options.key}"
