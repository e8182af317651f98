"""Countries as ISO 3166-1 alpha-2 codes, and the groups rules speak of.

Sources: ISO 3166-1; Treaty on European Union Art. 52 with TFEU Art. 349 and 355 (territories); EEA Agreement.
XK (Kosovo) is missing from ISO's list and accepted. Whatever is not in `NAMES` is unknown, and unknown is out.
"""

from collections.abc import Iterable
from typing import Final

EU: Final = frozenset(
    "AT BE BG HR CY CZ DE DK EE ES FI FR GR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()
)
# Codes of their own inside the Union: the outermost regions and Saint-Martin (FR), Åland (FI).
WITH_THE_EU: Final = frozenset("GP GF MQ RE YT MF AX".split())
# French law that mirrors the GDPR; Svalbard and Bouvet Island go with Norway.
WITH_FRANCE: Final = frozenset("BL PM NC PF WF TF".split())
WITH_NORWAY: Final = frozenset("SJ BV".split())
# For review, and excluded whenever the EU is, unless a rule says otherwise.
FOLLOWING_THE_EU: Final = frozenset("FO GL AW CW SX BQ AD MC SM VA".split())
EEA: Final = EU | {"IS", "LI", "NO"}
UNITED_KINGDOM: Final = frozenset("GB GI JE GG IM".split())

TERRITORIES: Final = {
    "FR": WITH_FRANCE | (WITH_THE_EU - {"AX"}),
    "FI": frozenset({"AX"}),
    "NO": WITH_NORWAY,
    "GB": UNITED_KINGDOM,
}

GROUPS: Final[dict[str, frozenset[str]]] = {
    "EU": EU | WITH_THE_EU | WITH_FRANCE,
    "EEA": EEA | WITH_THE_EU | WITH_FRANCE | WITH_NORWAY,
    "EU-FOLLOWERS": FOLLOWING_THE_EU,
    "UK": UNITED_KINGDOM,
}

ALIASES: Final = {
    "UK": "GB", "EL": "GR", "IC": "ES", "EA": "ES", "FX": "FR", "CP": "FR", "XI": "GB",
}  # fmt: skip

UNKNOWN: Final = ""

# User-assigned codes for the canary accounts (training_runs.canaries). No import can produce them.
CANARY_OPEN, CANARY_EXCLUDED, CANARY_NO_NOTICE, CANARY_OPT_IN = "QM", "QN", "QO", "QP"
CANARIES: Final = frozenset({CANARY_OPEN, CANARY_EXCLUDED, CANARY_NO_NOTICE, CANARY_OPT_IN})


def normalise(given: str) -> str:
    """The ISO code for what a sender wrote, or UNKNOWN.

    >>> normalise(" uk ")
    'GB'
    >>> normalise("EU")
    ''
    """
    code = given.strip().upper()
    code = ALIASES.get(code, code)
    return code if code in NAMES else UNKNOWN


def expand(codes: Iterable[str]) -> list[str]:
    """Country codes and group names as a sorted list of codes. Raises ValueError naming the unknown ones."""
    found: set[str] = set()
    unknown = []
    for code in codes:
        if code == "ALL":
            found |= set(NAMES)
        elif code in GROUPS:
            found |= GROUPS[code]
        elif normalise(code):
            found.add(normalise(code))
        else:
            unknown.append(code)
    if unknown:
        raise ValueError(f"unknown countries: {', '.join(sorted(unknown))}")
    return sorted(found)


def with_followers(codes: Iterable[str], *, is_excluded: bool) -> list[str]:
    """The codes and those that go with them when a rule tightens: the territories of GB, FR, FI and NO, and,
    where all of the EU is excluded, the countries that follow it."""
    found = set(codes)
    for country, territories in TERRITORIES.items():
        if country in found:
            found |= territories
    if is_excluded and found >= EU:
        found |= FOLLOWING_THE_EU
    return sorted(found)


def name(code: str) -> str:
    if code in CANARIES:
        return f"test country {code}"
    return NAMES.get(code, "unknown country")


NAMES: Final[dict[str, str]] = {
    "AD": "Andorra",
    "AE": "United Arab Emirates",
    "AF": "Afghanistan",
    "AG": "Antigua and Barbuda",
    "AI": "Anguilla",
    "AL": "Albania",
    "AM": "Armenia",
    "AO": "Angola",
    "AQ": "Antarctica",
    "AR": "Argentina",
    "AS": "American Samoa",
    "AT": "Austria",
    "AU": "Australia",
    "AW": "Aruba",
    "AX": "Åland Islands",
    "AZ": "Azerbaijan",
    "BA": "Bosnia and Herzegovina",
    "BB": "Barbados",
    "BD": "Bangladesh",
    "BE": "Belgium",
    "BF": "Burkina Faso",
    "BG": "Bulgaria",
    "BH": "Bahrain",
    "BI": "Burundi",
    "BJ": "Benin",
    "BL": "Saint Barthélemy",
    "BM": "Bermuda",
    "BN": "Brunei",
    "BO": "Bolivia",
    "BQ": "Bonaire, Sint Eustatius and Saba",
    "BR": "Brazil",
    "BS": "Bahamas",
    "BT": "Bhutan",
    "BV": "Bouvet Island",
    "BW": "Botswana",
    "BY": "Belarus",
    "BZ": "Belize",
    "CA": "Canada",
    "CC": "Cocos (Keeling) Islands",
    "CD": "Congo (Democratic Republic)",
    "CF": "Central African Republic",
    "CG": "Congo",
    "CH": "Switzerland",
    "CI": "Côte d'Ivoire",
    "CK": "Cook Islands",
    "CL": "Chile",
    "CM": "Cameroon",
    "CN": "China",
    "CO": "Colombia",
    "CR": "Costa Rica",
    "CU": "Cuba",
    "CV": "Cabo Verde",
    "CW": "Curaçao",
    "CX": "Christmas Island",
    "CY": "Cyprus",
    "CZ": "Czechia",
    "DE": "Germany",
    "DJ": "Djibouti",
    "DK": "Denmark",
    "DM": "Dominica",
    "DO": "Dominican Republic",
    "DZ": "Algeria",
    "EC": "Ecuador",
    "EE": "Estonia",
    "EG": "Egypt",
    "EH": "Western Sahara",
    "ER": "Eritrea",
    "ES": "Spain",
    "ET": "Ethiopia",
    "FI": "Finland",
    "FJ": "Fiji",
    "FK": "Falkland Islands",
    "FM": "Micronesia",
    "FO": "Faroe Islands",
    "FR": "France",
    "GA": "Gabon",
    "GB": "United Kingdom",
    "GD": "Grenada",
    "GE": "Georgia",
    "GF": "French Guiana",
    "GG": "Guernsey",
    "GH": "Ghana",
    "GI": "Gibraltar",
    "GL": "Greenland",
    "GM": "Gambia",
    "GN": "Guinea",
    "GP": "Guadeloupe",
    "GQ": "Equatorial Guinea",
    "GR": "Greece",
    "GS": "South Georgia and the South Sandwich Islands",
    "GT": "Guatemala",
    "GU": "Guam",
    "GW": "Guinea-Bissau",
    "GY": "Guyana",
    "HK": "Hong Kong",
    "HM": "Heard Island and McDonald Islands",
    "HN": "Honduras",
    "HR": "Croatia",
    "HT": "Haiti",
    "HU": "Hungary",
    "ID": "Indonesia",
    "IE": "Ireland",
    "IL": "Israel",
    "IM": "Isle of Man",
    "IN": "India",
    "IO": "British Indian Ocean Territory",
    "IQ": "Iraq",
    "IR": "Iran",
    "IS": "Iceland",
    "IT": "Italy",
    "JE": "Jersey",
    "JM": "Jamaica",
    "JO": "Jordan",
    "JP": "Japan",
    "KE": "Kenya",
    "KG": "Kyrgyzstan",
    "KH": "Cambodia",
    "KI": "Kiribati",
    "KM": "Comoros",
    "KN": "Saint Kitts and Nevis",
    "KP": "North Korea",
    "KR": "South Korea",
    "KW": "Kuwait",
    "KY": "Cayman Islands",
    "KZ": "Kazakhstan",
    "LA": "Laos",
    "LB": "Lebanon",
    "LC": "Saint Lucia",
    "LI": "Liechtenstein",
    "LK": "Sri Lanka",
    "LR": "Liberia",
    "LS": "Lesotho",
    "LT": "Lithuania",
    "LU": "Luxembourg",
    "LV": "Latvia",
    "LY": "Libya",
    "MA": "Morocco",
    "MC": "Monaco",
    "MD": "Moldova",
    "ME": "Montenegro",
    "MF": "Saint Martin (French part)",
    "MG": "Madagascar",
    "MH": "Marshall Islands",
    "MK": "North Macedonia",
    "ML": "Mali",
    "MM": "Myanmar",
    "MN": "Mongolia",
    "MO": "Macao",
    "MP": "Northern Mariana Islands",
    "MQ": "Martinique",
    "MR": "Mauritania",
    "MS": "Montserrat",
    "MT": "Malta",
    "MU": "Mauritius",
    "MV": "Maldives",
    "MW": "Malawi",
    "MX": "Mexico",
    "MY": "Malaysia",
    "MZ": "Mozambique",
    "NA": "Namibia",
    "NC": "New Caledonia",
    "NE": "Niger",
    "NF": "Norfolk Island",
    "NG": "Nigeria",
    "NI": "Nicaragua",
    "NL": "Netherlands",
    "NO": "Norway",
    "NP": "Nepal",
    "NR": "Nauru",
    "NU": "Niue",
    "NZ": "New Zealand",
    "OM": "Oman",
    "PA": "Panama",
    "PE": "Peru",
    "PF": "French Polynesia",
    "PG": "Papua New Guinea",
    "PH": "Philippines",
    "PK": "Pakistan",
    "PL": "Poland",
    "PM": "Saint Pierre and Miquelon",
    "PN": "Pitcairn",
    "PR": "Puerto Rico",
    "PS": "Palestine",
    "PT": "Portugal",
    "PW": "Palau",
    "PY": "Paraguay",
    "QA": "Qatar",
    "RE": "Réunion",
    "RO": "Romania",
    "RS": "Serbia",
    "RU": "Russia",
    "RW": "Rwanda",
    "SA": "Saudi Arabia",
    "SB": "Solomon Islands",
    "SC": "Seychelles",
    "SD": "Sudan",
    "SE": "Sweden",
    "SG": "Singapore",
    "SH": "Saint Helena, Ascension and Tristan da Cunha",
    "SI": "Slovenia",
    "SJ": "Svalbard and Jan Mayen",
    "SK": "Slovakia",
    "SL": "Sierra Leone",
    "SM": "San Marino",
    "SN": "Senegal",
    "SO": "Somalia",
    "SR": "Suriname",
    "SS": "South Sudan",
    "ST": "Sao Tome and Principe",
    "SV": "El Salvador",
    "SX": "Sint Maarten",
    "SY": "Syria",
    "SZ": "Eswatini",
    "TC": "Turks and Caicos Islands",
    "TD": "Chad",
    "TF": "French Southern Territories",
    "TG": "Togo",
    "TH": "Thailand",
    "TJ": "Tajikistan",
    "TK": "Tokelau",
    "TL": "Timor-Leste",
    "TM": "Turkmenistan",
    "TN": "Tunisia",
    "TO": "Tonga",
    "TR": "Türkiye",
    "TT": "Trinidad and Tobago",
    "TV": "Tuvalu",
    "TW": "Taiwan",
    "TZ": "Tanzania",
    "UA": "Ukraine",
    "UG": "Uganda",
    "UM": "United States Minor Outlying Islands",
    "US": "United States",
    "UY": "Uruguay",
    "UZ": "Uzbekistan",
    "VA": "Vatican City",
    "VC": "Saint Vincent and the Grenadines",
    "VE": "Venezuela",
    "VG": "British Virgin Islands",
    "VI": "US Virgin Islands",
    "VN": "Vietnam",
    "VU": "Vanuatu",
    "WF": "Wallis and Futuna",
    "WS": "Samoa",
    "XK": "Kosovo",
    "YE": "Yemen",
    "YT": "Mayotte",
    "ZA": "South Africa",
    "ZM": "Zambia",
    "ZW": "Zimbabwe",
}
