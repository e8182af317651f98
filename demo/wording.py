"""Names and letters of the people in the demo. All made up: every family name means "example"."""

import random
import unicodedata
from typing import NamedTuple

# A word for "example" in the language of each country.
NAMES = {
    "AT": ["Lukas Beispiel", "Hannah Muster"], "BE": ["Lotte Voorbeeld", "Hugo Exemple"],
    "BR": ["Inês Exemplo", "João Exemplo"], "CH": ["Reto Muster", "Chiara Esempio", "Léa Exemple"],
    "CZ": ["Jakub Příklad"], "DE": ["Anna Beispiel", "Jonas Muster", "Emine Örnek"],
    "DK": ["Freja Eksempel"], "ES": ["Lucía Ejemplo", "Unai Adibide"], "FI": ["Aino Esimerkki"],
    "FR": ["Camille Exemple", "Yann Skouer"], "GB": ["Nia Enghraifft", "Oliver Sample", "Zara Misaal"],
    "GR": ["Nikos Paradeigma"], "HU": ["Eszter Példa"], "ID": ["Putri Contoh"],
    "IE": ["Aoife Sampla", "Tadhg Sampla"], "IN": ["Arjun Udaharan", "Divya Misal"],
    "IS": ["Jón Dæmi"], "IT": ["Giulia Esempio"], "JP": ["Yuki Rei"], "KE": ["Wanjiru Mfano"],
    "KR": ["Minjun Yeje"], "NL": ["Jan Voorbeeld"], "NO": ["Ingrid Eksempel"],
    "PL": ["Zofia Przykład"], "PT": ["Rui Exemplo"], "RO": ["Ioana Exemplu"],
    "SE": ["Elin Exempel"], "TR": ["Elif Örnek"], "US": ["Maria Sample", "Dwayne Example", "Grace Specimen"],
    "VN": ["Linh Vidu"], "ZA": ["Thandi Isibonelo"],
}  # fmt: skip
ANYWHERE = ["Robin Example", "Sam Specimen", "Noor Mithal", "Alex Sample"]

STATEMENTS = {
    "generative-ai": [
        "I do not want my posts and articles to be used to train generative models.",
        "Please stop using what I wrote for training. I wrote it for people.",
        "I object under Article 21 to my data being used for generative AI, now and in future.",
        "My articles are my living. I do not agree that a model learns to write like me.",
        "I found my own phrases in a draft the assistant suggested to another user.",
        "I am a photographer. Neither my pictures nor their captions are meant for this.",
        "A former colleague posted about me. I have no account and object to its use for training.",
        "I switched the setting off, but I want it in writing that older posts are out, too.",
        "I do not live where you think I live; please treat my data as the law here requires.",
        "My profile describes an illness I had. It must not end up in a model.",
    ],
    "personalisation": [
        "Please do not build a picture of my interests. The feed knows too much about me already.",
        "After a bereavement I am shown the same subjects again and again. Please stop.",
        "I am looking for work discreetly; recommendations based on that could harm me.",
        "I object to my reading habits being used to arrange what I see.",
        "Others on my shared computer can guess my health from what is suggested to me.",
    ],
    "safety": [
        "My posts were taken for spam twice by mistake. Do not train your filters on them.",
        "I write about violence as a researcher; the filters learn the wrong thing from me.",
        "I object to messages about my dispute being used to train moderation.",
        "A report against me was withdrawn. It should not teach a model anything.",
        "I do not want to be an example of anything, least of all of fraud.",
    ],
}  # fmt: skip

GROUND = {
    "personalisation": "Without any signal the service the person signed up for cannot arrange a feed at all.",
    "safety": "Members are protected from fraud and violence by filters that need examples of both.",
}
BALANCING = (
    "What the person fears was weighed: the signals used are few, kept for 90 days, and name no person."
    " The harm described comes from another feature, which was switched off for this account."
)
REASONS = (
    "We use few signals for this purpose and keep them for 90 days. What you describe came from another"
    " feature, which we have switched off for you."
)
DOUBT = "The message came from an address that does not belong to the account it names."
QUESTION = (
    "Please answer from the address of your account, or tell us the month in which you joined."
)

NOTES = [
    "Phoned back as the person asked; nothing to add to what they wrote.",
    "Same subject as last week's; the answer there fits here.",
    "Asked the product team whether the account still has drafts. It has none.",
    "The person is friendly and in no hurry. Due date stands all the same.",
    "Legal has seen it: no ground that would override.",
]


class Name(NamedTuple):
    full: str
    email: str


def name_of(number: int, country: str, chance: random.Random) -> Name:
    """A person whose number makes the address theirs alone."""
    full = chance.choice(NAMES.get(country, ANYWHERE))
    plain = unicodedata.normalize("NFKD", full.replace("ł", "l").replace("æ", "ae"))
    local = ".".join(plain.encode("ascii", "ignore").decode().lower().split())
    return Name(full, f"{local}.{number}@example.{chance.choice(['org', 'net'])}")


def statement(purposes: list[str], chance: random.Random) -> str:
    return "\n\n".join(chance.choice(STATEMENTS[purpose]) for purpose in purposes)


def page_as_pdf() -> bytes:
    """A page with a sentence on it, for an attachment."""
    text = b"BT /F1 14 Tf 60 700 Td (My post, and what the assistant made of it.) Tj ET"
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(text), text),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    data, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(data))
        data += b"%d 0 obj%s endobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(parts) + 1
    return (
        data
        + b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table)
        + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (count, len(data))
    )
