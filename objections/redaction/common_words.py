"""Names and words too common to find one person by: data of our own making.

Written for this list from general knowledge; no register or published list was copied. It need not be complete: what is
missing is caught by length, or by an officer. A word is added when it was seen to match other people's data. Entries are
in lower case (`str.casefold`), without accents removed.
"""

from typing import Final

_FIRST_NAMES = """
    adam ahmed alexander alexandra alice amanda amelia amina amir andrea andreas andrew angela anna anne anthony
    antonio barbara benjamin bernard brian brigitte camille carlos carmen caroline catherine charles charlotte
    christian christina christine christopher claudia claire cristina daniel daniela david deborah denise dennis diana
    diego dominic dorothy edward elena eleonora elisabeth elizabeth emily emma emmanuel eric ernesto eva fatima
    felipe fernando florian francesca francesco francis frank franziska frederic gabriel gabriela george gerard
    giovanni giulia giuseppe gregory guillaume hannah hassan heather helena henry hussein ibrahim ingrid isabel
    isabella jacqueline james jasmine jean jennifer jessica joanna johannes john jonathan jose joseph joshua juan
    julia julian juliana julien karen katarina katherine kathleen kenneth kevin khalid laura laurent lawrence leila
    leonard leonardo linda lorenzo louise lucas lucia luis luisa magdalena manuel marco marcus margaret maria mariam
    marie marina mario martin martina mary matteo matthew maurice melanie melissa michael michaela michel michelle
    miguel miriam mohamed mohammed monica monika muhammad mustafa nadia nancy natalia natalie nathan nicholas nicola
    nicolas nicole nikolai oliver olivia omar oscar pamela pascal patricia patrick paul paula pauline peter philip
    philippe pierre priya rachel rafael raymond rebecca ricardo richard robert roberto roland ronald rosa rosemary
    ruth ryan samantha samuel sandra santiago sarah sebastian serge sharon simon simone sofia sophia sophie stefan
    stefano stella stephanie stephen steven susan susanne sylvia tatiana teresa theresa thomas timothy tomas ursula
    valentina valeria vanessa veronica victor victoria vincent virginia vladimir walter wilhelm william xavier
    yasmin yolanda yusuf yvonne zachary
"""
_FAMILY_NAMES = """
    ali andersen anderson becker bernard brown campbell chen clark cooper davies davis evans fernandez fischer garcia
    gonzalez hansen harris hernandez hughes hussein jackson jensen johansson johnson jones kelly khan kumar larsen
    lewis lopez martin martinez meyer miller mitchell mohamed moore mueller murphy müller nguyen nielsen olsen patel
    perez peterson phillips ramirez richardson roberts robinson rodriguez rossi sanchez santos schmidt schneider
    silva singh smith sullivan taylor thomas thompson torres turner walker wang watson weber williams wilson wright
    young zhang
"""
_WORDS = """
    account admin administrator amazing anonymous april august autumn baker banker butcher butler carpenter charity
    christmas company contact customer december destiny developer director doctor engineer england everyone faith
    february fisher forest france friend garden german germany golden grace harmony hello heaven hunter info
    ireland january justice kitchen knight learning london manager market master member melody mercy message
    mountain network november october office official orange paris people person pilgrim potter president
    profile project purple research river sailor school season secret senior september service shepherd silver
    someone spring street student summer sunday support sweden system teacher testing thank trinity united unknown
    update user victory village welcome western window winter woodland worker writer yellow
"""

COMMON: Final = frozenset(f"{_FIRST_NAMES} {_FAMILY_NAMES} {_WORDS}".split())
"""Words that find many people, in lower case."""
