"""Wording that says nothing about difficulty: politeness and instructions wrapped around a question.

Training teaches the learner that adding such wording changes nothing. The evaluation perturbs texts with the second
list, which training never sees.
"""

PREFIXES = (
    "Please help me with this. ",
    "Hi there! Could you answer the following for me?\n",
    "You are a helpful assistant. ",
    "I have a quick question: ",
    "Hello, I would really appreciate your help with this one.\n\n",
    "Answer the question below.\n\n",
    "My teacher gave me this, can you have a look? ",
    "Good morning. Here is something I have been wondering about today. ",
    "Read this carefully before you reply.\n",
    "For a friend of mine: ",
    "Act as an expert in the field and respond to the request that follows.\n\n",
    "ok so ",
)
SUFFIXES = (
    " Thank you!",
    "\n\nPlease think step by step.",
    "\nGive your final answer at the end.",
    " Please be concise.",
    " Explain your reasoning in detail.",
    "\n\nThanks in advance for your help, I really appreciate it.",
    " Let me know if anything is unclear.",
    "\nReply with only the answer, nothing else.",
    " Show your work.",
    "\n\nThis is important to me, so double check everything before you respond.",
    " I need this by tomorrow morning for a meeting with my boss.",
    "\nTake your time and make sure that the result is right.",
    " cheers",
    "\n\nRespond in a friendly tone and keep it under two hundred words.",
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
