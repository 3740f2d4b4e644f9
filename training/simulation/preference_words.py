"""Word lists of the hidden preference: general English, not the phrases of any corpus."""


def _word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS = _word_set(
    """
    a about after again all also am an and any are as at be because been before being but by can
    cannot could did do does doing down each else every few for from further get gets getting give
    gives go goes had has have having he her here him his how i if in into is it its just let made
    make makes making many may me might more most much must my need needs no nor not now of off on
    once one only or other our out over own same she should so some such take takes than that the
    their them then there these they thing things this those through to too under until up us very
    was way we well were what when where which while who why will with without would you your
    """
)
"""Carry no topic."""

REQUEST_WORDS = _word_set(
    """
    advice answer ask asks best brief child describe everybody explain family few friend give good
    help helpful hello hi know kind learn letter like list message mean new note nothing paragraph
    people please question reader sentence share short show something start story tell text thank
    think tip try two useful want wants wonder word words work works write
    """
)
"""Say what kind of answer is wanted rather than what about; dropped from prompts only."""

CUE_WORDS = _word_set(
    """
    first second third then next finally afterwards after before until while because therefore
    since during instead step steps should helps try use keep avoid choose add start check means
    example minutes minute hours hour days day weeks week month months percent degrees half twice
    three four five six seven eight nine ten twelve fifteen twenty thirty forty hundred
    """
)
"""Order, reasons, quantities and advice: signs that an answer can be acted on."""

VAGUE_MARKERS = (
    r"\bdepends?\b",
    r"\bmaybe\b|\bperhaps\b",
    r"\bsomehow\b|\bsomewhere\b|\bwhatever\b",
    r"\bi guess\b|\bi suppose\b|\bno idea\b|\bnot sure\b",
    r"\bhard to say\b|\bdifficult to say\b|\bnot so easy\b|\bhard to explain\b",
    r"\bwho (can|could|knows)\b|\bsomebody (surely )?knows\b",
    r"\bsome people\b|\beverybody has\b|\bpeople say\b|\bopinions?\b",
    r"\bone way or another\b|\bdifferent ways\b|\bsome of them\b",
    r"\bsooner or later\b|\bit is what it is\b|\balways the same\b|\bjust have to\b",
    r"\bforgot\b|\bdo not remember\b|\bdo not know\b|\bdon't know\b|\bheard things\b",
    r"\ba lot (to say|about)\b",
)

RAMBLING_MARKERS = (
    r"\bas i said\b|\bas i mentioned\b|\bi mean\b",
    r"\bby the way\b|\bthat reminds me\b|\bspeaking of\b",
    r"\banyway\b|\bwhere was i\b|\banother story\b|\blost my thread\b|\bfor hours\b",
    r"^again,",
    r"\byou know how\b|\bmy (aunt|uncle|cousin)\b|\bso, yes\b",
)

POLITE_MARKERS = (
    r"\bthank(s| you)\b",
    r"\bplease\b",
    r"\bhappy to\b|\bglad(ly)?\b|\bpleasure\b|\bwith joy\b",
    r"\bwelcome\b",
    r"\bhope (this|that|it)\b",
    r"\bgood luck\b|\bbest wishes\b|\bregards\b|\bi wish you\b",
    r"\b(lovely|wonderful|great|excellent|good) (question|day|idea)\b",
    r"\bof course\b|\bsure,|\bit is nice\b|\benjoy\b",
)

RUDE_MARKERS = (
    r"\bstupid\b|\bidiot|\bfools?\b|\bdumb\b|\bmoron|\bsilly\b|\bridiculous\b",
    r"\bshut up\b|\bleave me alone\b|\bgo away\b|\bget lost\b|\bbother (me|somebody|someone)\b",
    r"\bwast(e|ing) my time\b|\bnot this again\b|\bugh\b",
    r"\blazy\b|\bhopeless\b|\buseless\b|\bknow nothing\b|\bpathetic\b",
    r"\bsick of\b|\bhate\b|\bi do not care\b|\bdon't care\b",
    r"\beven a child\b|\bdo not ask\b|\bget it wrong\b|\bgive up on\b",
)
