"""What a user agent says of the browser it comes from: read once, when the device is first seen."""

from __future__ import annotations

from ..model.records import DeviceType, UserAgentDescription
from ..model.text import printable

USER_AGENT_LENGTH = 512

_BROWSERS = {
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "In-app browser",
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Chrome Mobile WebView": "In-app browser",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "Edge Mobile": "Edge",
    "Opera Mobile": "Opera",
    "HeadlessChrome": "Chrome (headless)",
}
_SYSTEMS = {"Mac OS X": "macOS", "Mac OS": "macOS", "Other": ""}
_DESKTOPS = {"Windows", "macOS", "Linux", "Ubuntu", "Fedora", "Debian", "Chrome OS", "FreeBSD", "OpenBSD"}


def clean_user_agent(raw: str | None) -> str | None:
    """At most 512 printable characters; a user agent is text from a stranger."""
    return printable(raw, USER_AGENT_LENGTH)


def describe(user_agent: str | None) -> UserAgentDescription:
    """Browser, system and type of device. Takes about a millisecond, so it is never done to list devices."""
    if not user_agent:
        return UserAgentDescription("Unknown browser", "", "other")
    from ua_parser import parse  # an eighth of the import of all of this; the first sign-in does it

    seen = parse(user_agent)
    family = seen.user_agent.family if seen.user_agent else ""
    os = seen.os.family if seen.os else ""
    hardware = seen.device.family if seen.device else ""
    system = _SYSTEMS.get(os, os)
    browser = _BROWSERS.get(family, family) or "Unknown browser"
    device_type = _device_type(user_agent, system, hardware)
    # people know their iPhone and their iPad by name, not by the system on it
    shown = hardware if hardware in ("iPhone", "iPad") else system
    return UserAgentDescription(browser[:64], shown[:64], device_type)


def _device_type(user_agent: str, system: str, hardware: str) -> DeviceType:
    if hardware == "Spider":
        return "bot"
    if hardware == "iPad" or "Tablet" in user_agent or (system == "Android" and "Mobile" not in user_agent):
        return "tablet"
    if hardware == "iPhone" or "Mobile" in user_agent:
        return "phone"
    return "desktop" if system in _DESKTOPS else "other"
