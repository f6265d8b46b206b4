"""Whether an address stays on this machine."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether that name or address is this machine by itself, so that what is sent there reaches no network."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
