"""Wording that says nothing about difficulty: politeness and instructions wrapped around a question.

Known wording is cut off before anything is measured. Of what cannot be listed, samples and made-up sentences are shown
to the learner as making no difference. The evaluation rewrites texts with the last lists, which neither ever sees.
"""

import random

KNOWN_PREFIXES = (
    "please ", "hi, ", "hi! ", "hi ", "hello, ", "hello! ", "hello ", "hey, ", "hey ", "hi there! ", "hi there, ",
    "good morning. ", "good morning, ", "good evening, ", "dear assistant, ", "ok so ", "okay, ", "ok, ", "so, ",
    "can you help me with this? ", "could you help me with this? ", "can you help me? ", "could you help me? ",
    "please help me with this. ", "please help me. ", "please help: ", "i need help with this: ", "i need your help. ",
    "please answer the following question: ", "please answer the following question. ", "please answer this: ",
    "answer the following question: ", "answer the following question. ", "answer the question below.", "question: ",
    "i have a question: ", "i have a quick question: ", "quick question: ", "you are a helpful assistant. ",
    "could you please ", "can you please ", "would you please ", "could you kindly ", "kindly ",
    "could you answer the following for me?", "could you tell me: ", "i was wondering: ", "i would like to know: ",
    "por favor, ", "por favor ", "hola, ", "s'il vous plaît, ", "bonjour, ", "bitte ", "hallo, ", "olá, ", "ciao, ",
)  # fmt: skip
KNOWN_SUFFIXES = (
    "please", "pls", "thanks", "thanks!", "thanks.", "thank you", "thank you!", "thank you.", "thank you very much!",
    "thank you very much.", "thank you so much!", "thanks in advance", "thanks in advance!", "thanks in advance.",
    "thanks a lot!", "many thanks!", "many thanks.", "cheers", "cheers!", "please help.", "please help!", "please help",
    "please help me.", "please think step by step.", "think step by step.", "let's think step by step.",
    "let's think step by step", "please be concise.", "be concise.", "please answer briefly.", "answer briefly.",
    "please explain.", "explain your reasoning.", "please explain your reasoning.", "explain your answer.",
    "show your work.", "please show your work.", "give your final answer at the end.", "give only the final answer.",
    "reply with only the answer.", "answer with only the answer.", "i appreciate your help.", "i appreciate it.",
    "any help is appreciated.", "any help would be appreciated.", "gracias", "gracias.", "merci", "merci.", "merci !",
    "danke", "danke!", "danke.", "obrigado", "grazie",
)  # fmt: skip


def _by_edge(known: tuple[str, ...], edge: slice) -> dict[str, tuple[str, ...]]:
    """Known wording by the two letters at its edge; the longest first, so that none leaves its second half behind."""
    longest_first = sorted(known, key=len, reverse=True)
    return {each[edge]: tuple(other for other in longest_first if other[edge] == each[edge]) for each in known}


_HEADS, _TAILS = _by_edge(KNOWN_PREFIXES, slice(2)), _by_edge(KNOWN_SUFFIXES, slice(-2, None))
_REACH = max(map(len, KNOWN_PREFIXES + KNOWN_SUFFIXES))

TAUGHT_PREFIXES = (
    "I would really appreciate your help with this one.\n\n",
    "My teacher gave me this, can you have a look? ",
    "Here is something I have been wondering about today. ",
    "Read this carefully before you reply.\n",
    "For a friend of mine: ",
    "Act as an expert in the field and respond to the request that follows.\n\n",
    "This came up at dinner and we disagreed: ",
    "You will be given a task. Do it as well as you can.\n",
    "Sorry to bother you again, one more thing.\n\n",
    "I am preparing for a test next week and got stuck on the next one.\n",
)
TAUGHT_SUFFIXES = (
    " Explain your reasoning in detail and say how sure you are.",
    "\n\nI really appreciate your time and your help.",
    " Let me know if anything is unclear.",
    "\nReply with only the answer, nothing else at all.",
    "\n\nThis is important to me, so double check everything before you respond.",
    " I need this by tomorrow morning for a meeting with my boss.",
    "\nTake your time and make sure that the result is right.",
    "\n\nRespond in a friendly tone and keep it under two hundred words.",
    "\nFormat: short sentences. No introduction.",
    " ref 4471-b / ticket #2093, high priority!!",
    "\n\n--\nSent from my phone",
    " It is for my little sister, so use words that she knows.",
    "\n{mode: turbo, id=77f0, effort=[9]}",
    " <<ESCALATE>> #A1-0042 ***",
    "\n|| PRIORITY || (code: q9zz_81)",
    " ==> level+++ [debug] 'on' & \"max\"",
    "\n$$$ VIP/000117 ^^ 100%",
    " ~~ xq7; vv: 3.14.159; \\go \\now {}",
)

_EVERYDAY = (
    "a", "able", "about", "after", "again", "all", "also", "am", "an", "and", "any", "are", "around", "as", "ask",
    "at", "away", "back", "be", "because", "been", "before", "best", "better", "big", "bit", "both", "bring", "but",
    "by", "call", "came", "can", "check", "clear", "come", "could", "day", "did", "do", "does", "done", "down",
    "each", "early", "end", "enough", "ever", "every", "far", "feel", "few", "find", "first", "for", "friend",
    "from", "full", "gave", "get", "give", "go", "going", "good", "got", "great", "group", "had", "half", "happy",
    "hard", "has", "have", "he", "hear", "help", "her", "here", "him", "his", "home", "hope", "hour", "how", "idea",
    "if", "in", "into", "is", "it", "its", "job", "just", "keep", "kind", "know", "last", "late", "later", "left",
    "less", "let", "life", "like", "list", "little", "live", "long", "look", "lot", "made", "main", "make", "man",
    "many", "may", "me", "mean", "meet", "might", "mind", "minute", "more", "morning", "most", "move", "much",
    "must", "my", "name", "near", "need", "never", "new", "next", "nice", "no", "not", "note", "now", "number",
    "of", "off", "office", "often", "ok", "old", "on", "once", "one", "only", "open", "or", "other", "our", "out",
    "over", "own", "page", "part", "past", "people", "place", "plan", "play", "point", "put", "quick", "quite",
    "read", "ready", "really", "reply", "rest", "right", "room", "run", "said", "same", "saw", "say", "school",
    "second", "see", "seem", "send", "set", "she", "short", "should", "show", "side", "since", "small", "so",
    "some", "someone", "something", "soon", "sort", "start", "still", "stop", "such", "sure", "take", "talk",
    "task", "tell", "than", "that", "the", "their", "them", "then", "there", "these", "they", "thing", "think",
    "this", "those", "though", "thought", "three", "time", "to", "today", "together", "told", "too", "took", "top",
    "try", "turn", "two", "under", "up", "us", "use", "very", "wait", "want", "was", "way", "we", "week", "well",
    "went", "were", "what", "when", "where", "which", "while", "who", "whole", "why", "will", "with", "without",
    "wonder", "word", "work", "world", "would", "write", "year", "yes", "yet", "you", "your",
)  # fmt: skip
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def around(chance: random.Random) -> tuple[str, str]:
    """Wording to put before and behind a question; one of the two may be empty. Half of it is made up."""
    is_made_up, kind = chance.random() < 0.5, chance.random()
    before = behind = ""
    if kind < 0.4 or kind > 0.88:
        before = _invent_wording(chance) + chance.choice(" \n") if is_made_up else chance.choice(TAUGHT_PREFIXES)
    if kind >= 0.4:
        parted = chance.choice((" ", "\n", "\n\n"))
        behind = parted + _invent_wording(chance) if is_made_up else chance.choice(TAUGHT_SUFFIXES)
    return before, behind


def _invent_wording(chance: random.Random) -> str:
    return " ".join(_sentence(chance) for _ in range(chance.choice((1, 1, 1, 2, 3))))


def _sentence(chance: random.Random) -> str:
    """Everyday words in any order, now and then with a comma, a number or a code."""
    words = [chance.choice(_EVERYDAY) for _ in range(chance.randrange(2, 17))]
    at, oddity = chance.randrange(len(words)), chance.random()
    if oddity < 0.15:
        words[at] += ","
    elif oddity > 0.95:
        words[at] = f"[{''.join(chance.choice(_LETTERS) for _ in range(6))}]"
    elif oddity > 0.9:
        words[at] = str(chance.randrange(10, 9999))
    return " ".join(words).capitalize() + chance.choice("....!?:")


UNSEEN_PREFIXES = (
    "Yo, got a sec? Here goes: ",
    "A colleague forwarded the item underneath and nobody in our office could settle it.\n\n",
)
UNSEEN_SUFFIXES = (
    "\n\nMuch obliged, and have a lovely weekend with the family!",
    " Kindly verify twice, then state what you conclude without any fluff.",
    "\n[session 8f3a2c] zxqv override tier=max priority urgent",
)


def stripped(text: str) -> str:
    """The text without known wording before and after it, whatever its case."""
    text = text.strip()
    while (heads := _HEADS.get(text[:2].lower())) and (head := text[:_REACH].lower()).startswith(heads):
        known = next(filter(head.startswith, heads))
        text = text[len(known) :].lstrip()
    while (tails := _TAILS.get(text[-2:].lower())) and (tail := text[-_REACH:].lower()).endswith(tails):
        known = next(filter(tail.endswith, tails))
        shorter = text[: len(text) - len(known)]
        if not shorter or shorter[-1].isalnum():
            break
        text = shorter.rstrip()
    return text
