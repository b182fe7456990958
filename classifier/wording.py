"""Wording that says nothing about difficulty: politeness and instructions wrapped around a question.

Known wording is cut off before anything is measured. Of what cannot be listed, samples are shown to the learner as
making no difference. The evaluation rewrites texts with the last lists, which neither ever sees.
"""

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
# The longest first, so that no greeting leaves its second half behind.
_HEADS, _TAILS = (tuple(sorted(known, key=len, reverse=True)) for known in (KNOWN_PREFIXES, KNOWN_SUFFIXES))
_REACH = max(len(_HEADS[0]), len(_TAILS[0]))

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
    while (head := text[:_REACH].lower()).startswith(_HEADS):
        known = next(wording for wording in _HEADS if head.startswith(wording))
        text = text[len(known) :].lstrip()
    while (tail := text[-_REACH:].lower()).endswith(_TAILS):
        known = next(wording for wording in _TAILS if tail.endswith(wording))
        shorter = text[: len(text) - len(known)]
        if not shorter or shorter[-1].isalnum():
            break
        text = shorter.rstrip()
    return text
