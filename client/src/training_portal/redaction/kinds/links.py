"""Addresses of profiles, and handles."""

import re

from training_portal.redaction.kinds.cues import Cues, for_re2
from training_portal.redaction.kinds.rule import Rule, group, whole
from training_portal.redaction.spans import Span

# --- Addresses with a handle -------------------------------------------------------------------------

SITES = (
    "x.com", "twitter.com", "facebook.com", "fb.com", "fb.me", "instagram.com", "instagr.am", "tiktok.com", "linkedin.com", "youtube.com",
    "github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "reddit.com", "t.me", "telegram.me", "threads.net", "threads.com", "medium.com",
    "xing.com", "snapchat.com", "pinterest.com", "pinterest.de", "pinterest.fr", "twitch.tv", "soundcloud.com", "vk.com", "bsky.app", "patreon.com", "ko-fi.com",
    "paypal.me", "paypal.com", "about.me", "linktr.ee", "flickr.com", "tumblr.com", "quora.com", "last.fm", "deviantart.com", "behance.net",
    "dribbble.com", "strava.com", "goodreads.com", "vimeo.com", "dailymotion.com", "onlyfans.com", "clubhouse.com", "wa.me", "discord.gg",
    "keybase.io", "mastodon.social", "kaggle.com", "huggingface.co", "stackoverflow.com", "steamcommunity.com", "letterboxd.com", "substack.com",
    "researchgate.net", "orcid.org", "malt.fr", "viadeo.com", "skyrock.com", "kununu.com", "stayfriends.de",
)  # fmt: skip
"""Hosts whose paths begin with a person's handle."""
_NOT_A_HANDLE = frozenset(
    """
    about account ads api apps blog careers contact dialog discover docs download explore features feed fr de en events
    groups hashtag help home i intent jobs legal live login logout marketplace media messages news notifications p
    pages plugins post posts press pricing privacy reel reels search security settings share sharer shorts signup
    sponsors stories tag tags terms topic topics topics tos trending video videos watch wiki questions playlist pulse
    company school r pin results channel collections gaming policies hc support
    """.split()
)
_PERSON_PATHS = r"(?:in|user|users|u|profile|profil|profiles|people|add|member|members|mitglied|membre|author|authors|id|c|s|@|~)"
_TAIL = r"[^\s<>\"'\[\]{}|\\^`]"
_SITE = "|".join(re.escape(one) for one in SITES)


def _trimmed(match: re.Match[str]) -> Span:
    """Without the signs that end the sentence around it."""
    text = match[0].rstrip(".,;:!?…»”’*_")
    while text.endswith(")") and text.count("(") < text.count(")"):
        text = text[:-1].rstrip(".,;:!?")
    return match.start(), match.start() + len(text)


def _on_a_site(match: re.Match[str]) -> Span | None:
    first = re.split(r"[/?#]", match[1], maxsplit=1)[0].rstrip(".,;:!?)").lower()
    if first in _NOT_A_HANDLE or not first.strip("@~"):
        return None
    return _trimmed(match)


# --- Handles -----------------------------------------------------------------------------------------

_OF_PROGRAMS = frozenset(
    """
    media import charset keyframes supports page layer container property include mixin extend use forward apply
    tailwind override deprecated test before after beforeeach aftereach autowired component service repository bean
    entity table column id param params return returns throws author since see version todo suppresswarnings
    functionalinterface nullable notnull nonnull get post put delete patch requestmapping getmapping postmapping
    controller restcontroller injectable input output staticmethod classmethod dataclass abstractmethod
    functools contextmanager pytest fixture app click types typing babel angular vue react interface end class
    implementation synthesize selector protocol try catch everyone here channel all gmail hotmail outlook yahoo
    """.split()
)
"""Words after an at sign that belong to programs, style sheets and chats."""


def _handle(match: re.Match[str]) -> Span | None:
    name = match[0].lstrip("@").rstrip(".-").lower()
    if len(name) < 2 or name.split(".")[0] in _OF_PROGRAMS or name.isdigit():
        return None
    return match.start(), match.start() + len(match[0].rstrip(".-"))


NAMED = Cues(
    "insta(?:gram)?", "ig", "twitter", "tiktok", "snap(?:chat)?", "discord", "telegram", "tg", "skype", "psn", "gamertag", "steam", "github",
    "threads", "bluesky", "mastodon", "handle", "username", "user ?name", "nutzername", "benutzername", "nickname", "spitzname", "pseudo(?:nyme)?",
    "nom d.utilisateur", "identifiant", "screen ?name", "twitch", "reddit",
    before=0,
)  # fmt: skip


_IS = "is|ist|lautet|est|heißt"


def _after_cue(match: re.Match[str]) -> Span | None:
    """A handle has a digit, a dot or an underscore, or follows a colon: `my insta is great` has none."""
    name = match["name"].rstrip(".-")
    if len(name) < 3 or (match["sign"] not in (":", "=") and not re.search(r"[0-9_.]", name)):
        return None
    start = match.start("name")
    return start, start + len(name)


RULES = (
    Rule(
        kind="url",
        name="url.of_a_site",
        glance="/",
        trigger=rf"(?i:{_SITE})/",
        pattern=re.compile(
            rf"(?<![\w@.\-])(?:https?://)?(?:[a-z0-9\-]{{1,20}}\.)?(?:{_SITE})/(?:{_PERSON_PATHS}/)?({_TAIL}{{1,300}})",
            re.IGNORECASE | re.ASCII,
        ),
        validator=_on_a_site,
    ),
    Rule(
        kind="url",
        name="url.of_a_person",
        glance=r"/|(?i:www\.)",
        trigger=r"/(?i:@|~|%40|in/|users?/|u/|profile?s?/|people/|members?/|mitglied/|membre/|authors?/)|[?&](?i:user|u|handle|profile|member)",
        pattern=re.compile(
            r"(?<![\w@.\-])(?:https?://|www\.)[^\s<>\"'\[\]{}|\\^`/?#]{1,200}"
            rf"(?:{_TAIL}{{0,200}}?/(?:@|~|%40|(?:in|users?|u|profiles?|profil|people|members?|mitglied|membre|authors?)/)[\w%]"
            rf"|{_TAIL}{{0,200}}?[?&](?:user|username|user_name|userid|user_id|u|handle|profile|member)=[\w%])"
            rf"{_TAIL}{{0,300}}",
            re.IGNORECASE | re.ASCII,
        ),
        validator=_trimmed,
    ),
    Rule(
        kind="handle",
        name="handle.at",
        trigger="[@＠]",
        pattern=re.compile(
            r"[@＠](?<![\w@＠.\-/+][@＠])[\w](?:[\w.\-]{1,58}[\w])(?:@[\w\-]{1,60}(?:\.[\w\-]{1,60}){1,4})?"
        ),
        validator=_handle,
    ),
    Rule(
        kind="handle",
        name="handle.reddit",
        glance="/",
        trigger=r"[uU]/[A-Za-z0-9_\-]",
        pattern=re.compile(r"(?<![\w/.:\-])/?[uU]/([A-Za-z0-9_\-]{3,20})(?![\w/])"),
        validator=whole,
    ),
    Rule(
        kind="handle",
        name="handle.discord",
        trigger="[^ ]#[0-9]{4}",
        pattern=re.compile(r"(?<![\w.#])([^\W\d][\w.]{1,31}#[0-9]{4})(?![\w])"),
        validator=group(1),
    ),
    Rule(
        kind="handle",
        name="handle.cue",
        trigger=rf"{NAMED.opening}(?s:.)?(?:[:=\-]|(?i:{for_re2(_IS)}))",
        pattern=re.compile(
            rf"{NAMED.pattern.pattern}\s?(?P<sign>[:=\-]|{_IS})\s{{0,2}}@?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.\-]{{2,38}})(?![\w@/])",
            re.IGNORECASE,
        ),
        validator=_after_cue,
    ),
)
