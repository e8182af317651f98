"""Texts with known items: values by Faker, in sentences that the patterns were not written against.

Faker is pinned and seeded, so that a figure can be repeated. A pattern that is tried on the texts it was written for
finds all of them, which says nothing.
"""

import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from training_portal.errors import Misuse
from training_portal.redaction.measure.frames import FRAMES, NEGATIVES, THIRD_FRAMES

FAKER: Final = "40.63.0"
LANGUAGES: Final = ("en", "de", "fr")
SECOND: Final = {
    "en": ("en_US", "en_GB"),
    "de": ("de_DE", "de_CH", "de_AT"),
    "fr": ("fr_FR", "fr_CH"),
}
"""Regions that the rules were corrected on."""
THIRD: Final = {
    "en": ("en_CA", "en_AU", "en_IN"),
    "de": ("de_LI", "de_LU"),
    "fr": ("fr_CA", "fr_BE"),
}
"""Regions that are only reported."""
KINDS: Final = (
    "email", "phone", "iban", "card", "ip", "mac", "url", "handle", "national_id", "birth_date", "secret",
)  # fmt: skip
WITHOUT_A_LIST: Final = ("name", "address")
"""Kinds that no pattern finds."""


@dataclass(frozen=True)
class Text:
    """A text, and what is in it."""

    text: str
    language: str
    kind: str
    """Of its one item; empty where there is none."""
    start: int = 0
    end: int = 0

    @property
    def item(self) -> str:
        """The item."""
        return self.text[self.start : self.end]


def faker(locale: str, seed: int) -> Any:
    """A generator of Faker. Raises Misuse where it is missing, or of another version: the figures would be others."""
    try:
        package = import_module("faker")
    except ImportError:
        raise Misuse("The measurement needs Faker.", f"Run: pip install faker=={FAKER}") from None
    if package.VERSION != FAKER:
        raise Misuse(f"Faker is {package.VERSION} here.", f"Run: pip install faker=={FAKER}")
    one = package.Faker(locale)
    one.seed_instance(seed)
    return one


class Values:
    """Values of each kind in one region."""

    def __init__(self, locale: str, seed: int) -> None:
        self.fake = faker(locale, seed)
        self.random = self.fake.random
        self.locale, self.language = locale, locale[:2]

    def of(self, kind: str) -> str:
        """One value."""
        make: Callable[[], str] = getattr(self, kind)
        return make()

    def _one(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def _grouped(self, compact: str, sizes: tuple[int, ...], gap: str) -> str:
        parts, at = [], 0
        for size in sizes:
            parts.append(compact[at : at + size])
            at += size
        return gap.join([part for part in [*parts, compact[at:]] if part])

    def email(self) -> str:
        return str(
            self._one(
                self.fake.email,
                self.fake.free_email,
                self.fake.company_email,
                self.fake.ascii_safe_email,
            )()
        )

    def phone(self) -> str:
        """A number that a person can have: Faker's German ones often begin with two zeros and no country."""
        while True:
            number = str(self.fake.phone_number())
            digits = re.sub(r"[^0-9]", "", number)
            bare = number == digits
            if number.startswith("00") and self.locale in ("de_DE", "de_LI", "de_LU", "en_IN"):
                continue
            # Ten digits in a row, and short numbers without any sign, are no items: the documentation says so.
            if (bare and (digits[0] != "0" or len(digits) < 10)) or len(digits) < 8:
                continue
            return number

    def iban(self) -> str:
        """A number that a bank can give out: Faker's Indian ones are too short for the country they name."""
        is_valid = import_module("stdnum.iban").is_valid
        while not is_valid(number := str(self.fake.iban()), check_country=False):
            # Another region's generator for a region that has none.
            self.fake = (
                self.fake
                if self.locale != "en_IN"
                else faker("en_GB", self.random.randrange(10**9))
            )
        return str(self._one(number, self._grouped(number, (4,) * 8, " ")))

    def card(self) -> str:
        brand = self._one(
            "amex",
            "diners",
            "discover",
            "jcb15",
            "jcb16",
            "maestro",
            "mastercard",
            "visa16",
            "visa19",
        )
        number = str(self.fake.credit_card_number(brand))
        return str(self._one(number, self._grouped(number, (4,) * 5, self._one(" ", "-"))))

    def ip(self) -> str:
        return str(self._one(self.fake.ipv4_public, self.fake.ipv6, self.fake.ipv4_private)())

    def mac(self) -> str:
        number = str(self.fake.mac_address())
        return str(self._one(number, number.upper(), number.replace(":", "-")))

    def url(self) -> str:
        user = self.fake.user_name()
        return str(
            self._one(
                f"https://www.facebook.com/{user}",
                f"https://twitter.com/{user}/status/{self.random.randrange(10**15)}",
                f"instagram.com/{user}",
                f"https://www.tiktok.com/@{user}?lang=en",
                f"https://github.com/{user}",
                f"https://www.linkedin.com/in/{user}/",
                f"https://{self.fake.domain_name()}/@{user}",
                f"https://www.{self.fake.domain_name()}/users/{user}",
                f"http://{self.fake.domain_name()}/profile/{user}#about",
                f"https://www.reddit.com/user/{user}/comments/",
            )
        )

    def handle(self) -> str:
        user = self.fake.user_name()
        return str(
            self._one(
                f"@{user}",
                f"@{user}",
                f"@{user}_{self.random.randrange(100)}",
                f"@{user}@{self.fake.domain_name()}",
            )
        )

    def national_id(self) -> str:
        make = {
            "en_US": self.fake.ssn, "en_GB": self._nino, "de_DE": self._tax_id, "de_CH": self.fake.ssn, "de_AT": self.fake.ssn,
            "fr_FR": self._nir, "fr_CH": self.fake.ssn, "en_CA": self.fake.ssn, "en_AU": self._nino, "en_IN": self._nino,
            "de_LI": self._tax_id, "de_LU": self._pension, "fr_CA": self._sin, "fr_BE": self._nir,
        }  # fmt: skip
        return str(make[self.locale]())

    def _nino(self) -> str:
        """Faker's begin with ZZ, which is never given out."""
        letters = self._one("A", "B", "C", "E", "H", "J", "L", "M", "P", "S", "W") + self._one(
            "A", "B", "C", "E", "H", "L", "M", "S", "W"
        )
        number = self.fake.numerify("######")
        end = self._one("A", "B", "C", "D")
        return str(
            self._one(
                f"{letters}{number}{end}",
                f"{letters} {self._grouped(number, (2, 2, 2), ' ')} {end}",
            )
        )

    def _tax_id(self) -> str:
        idnr = import_module("stdnum.de.idnr")
        while True:
            digits = self.random.sample(string.digits, 9)
            digits.insert(self.random.randrange(1, 9), digits[self.random.randrange(9)])
            if digits[0] == "0" or any(
                digits[n] == digits[n + 1] == digits[n + 2] for n in range(8)
            ):
                continue
            front = "".join(digits)
            for check in string.digits:
                if idnr.is_valid(front + check):
                    return str(
                        self._one(front + check, self._grouped(front + check, (2, 3, 3, 3), " "))
                    )

    def _pension(self) -> str:
        national_ids = import_module("training_portal.redaction.kinds.national_ids")
        while True:
            born = self.fake.date_of_birth().strftime("%d%m%y")
            front = f"{self.random.randrange(10, 90)}{born}{self.random.choice(string.ascii_uppercase)}{self.fake.numerify('##')}"
            for check in string.digits:
                if national_ids.is_rvnr(front + check):
                    return str(
                        self._one(front + check, self._grouped(front + check, (2, 6, 1, 3), " "))
                    )

    def _nir(self) -> str:
        number = (
            str(self.fake.ssn())
            if self.locale == "fr_FR"
            else str(faker("fr_FR", self.random.randrange(10**9)).ssn())
        )
        return str(self._one(number, self._grouped(number, (1, 2, 2, 2, 3, 3, 2), " ")))

    def _sin(self) -> str:
        luhn = import_module("stdnum.luhn")
        front = self.fake.numerify("%#######")
        return self._grouped(
            front + str(luhn.calc_check_digit(front)), (3, 3, 3), self._one(" ", "-")
        )

    def birth_date(self) -> str:
        day = self.fake.date_of_birth(minimum_age=10, maximum_age=95)
        months = {
            "en": "January February March April May June July August September October November December",
            "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
            "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        }[self.language].split()
        month = months[day.month - 1]
        forms = {
            "en": (f"{day:%m/%d/%Y}", f"{month} {day.day}, {day.year}", f"{day.day} {month} {day.year}", f"{day:%Y-%m-%d}", f"{day:%m/%d/%y}", f"{month[:3]} {day.day}, {day.year}"),
            "de": (f"{day:%d.%m.%Y}", f"{day.day}. {month} {day.year}", f"{day.day}.{day.month}.{day.year}", f"{day:%d.%m.%y}", f"{day:%Y-%m-%d}"),
            "fr": (f"{day:%d/%m/%Y}", f"{'1er' if day.day == 1 else day.day} {month} {day.year}", f"{day:%d-%m-%Y}", f"{day:%d.%m.%Y}", f"{day:%d/%m/%y}"),
        }[self.language]  # fmt: skip
        return str(self._one(*forms))

    def _letters(self, count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
        return "".join(self.random.choices(alphabet, k=count))

    def secret(self) -> str:
        return str(
            self._one(
                "AKIA" + self._letters(16, string.ascii_uppercase + string.digits),
                "ghp_" + self._letters(36),
                "xoxb-" + self.fake.numerify("############-############-") + self._letters(24),
                "sk_live_" + self._letters(24),
                "sk-proj-" + self._letters(48),
                f"eyJ{self._letters(33)}.eyJ{self._letters(60)}.{self._letters(43)}",
                "glpat-" + self._letters(20),
            )
        )

    def password(self) -> str:
        """A password, as it is said after its name."""
        return str(self.fake.password(length=self.random.randrange(8, 16)))

    def name(self) -> str:
        return f"{self.fake.first_name()} {self.fake.last_name()}"

    def address(self) -> str:
        return str(self.fake.address()).replace("\n", ", ")


def items(
    kind: str, language: str, count: int, seed: int, *, third: bool = False
) -> Iterator[Text]:
    """Texts with one item each of a kind, in a language."""
    locales = (THIRD if third else SECOND)[language]
    makers = [Values(locale, seed + n) for n, locale in enumerate(locales)]
    frames = (THIRD_FRAMES if third else FRAMES)[language][kind]
    for n in range(count):
        values = makers[n % len(makers)]
        frame = values.random.choice(frames)
        field = next(name for _, name, _, _ in string.Formatter().parse(frame) if name)
        value = values.of(field)
        before, after = frame.split("{" + field + "}")
        # What stands around a sentence in a post: another sentence, of Faker's words.
        opening = f"{values.fake.sentence()} " if values.random.random() < 0.5 else ""
        closing = f" {values.fake.sentence()}" if values.random.random() < 0.5 else ""
        start = len(opening) + len(before)
        yield Text(
            opening + before + value + after + closing, language, kind, start, start + len(value)
        )


def negatives(language: str, count: int, seed: int) -> Iterator[Text]:
    """Texts without an item: numbers of articles and orders, dates, times, versions, code, prices, plain sentences."""
    values = Values(SECOND[language][0], seed)
    fake = values.fake
    for _ in range(count):
        frame = values.random.choice(NEGATIVES[language])
        text = frame.format(
            ean=fake.ean13(), isbn=fake.isbn13(), day=fake.date(), german_day=fake.date("%d.%m.%Y"), french_day=fake.date("%d/%m/%Y"),
            time=fake.time(), n2=fake.numerify("%#"), n4=fake.numerify("%###"), n6=fake.numerify("%#####"), n10=fake.numerify("%#########"),
            price=f"{values.random.uniform(1, 9999):,.2f}", version=f"{values.random.randrange(20)}.{values.random.randrange(20)}.{values.random.randrange(9)}",
            uuid=fake.uuid4(), hex=fake.hex_color(), file=fake.file_name(), place=f"{fake.latitude()}, {fake.longitude()}",
            sentence=fake.sentence(), text=fake.text(120), url=f"https://www.{fake.domain_name()}/{fake.uri_path()}/", word=fake.word(),
            sha=fake.sha1(), plate=fake.license_plate(), postcode=fake.postcode(), year=fake.year(),
        )  # fmt: skip
        yield Text(text, language, "")
