"""Calls that a chat UI makes for itself: titles, tags, follow-up suggestions, search queries, completions of typing.

Nobody waits for these answers to be clever. The patterns ask for several independent signs at once (what is wanted,
of a conversation, in a machine's format), so that a user who asks for a title of an essay is not taken for one.
"""

import re

HEAD_CHARS = 1_200
TAIL_CHARS = 500

_MAKE = re.compile(
    r"\b(?:generat\w+|creat\w+|provide|writ\w+|suggest\w*|summari[sz]\w+|come up with|give|make|nam(?:e|ing)|analy[sz]\w+|return|produce"
    r"|propose|classify|categori[sz]\w+|predict|reflect|erstell\w+|erzeuge|generier\w+|fass\w*|genera|generar|crea|gerar|gere|crie"
    r"|génér\w+|crée\w*|donne|tworz\w+|wygeneruj|сгенериру\w+|создай\w*|придумай\w*|oluştur\w*)|生成|总结|概括|起|為|作成|生成して|付けて|만들|생성"
)
_CONVERSATION = re.compile(
    r"\b(?:conversations?|chats?|chat[ _]history|dialogue?s?|discussion|messages? history|session|thread|first message|user'?s? (?:message|query|question|prompt)"
    r"|following (?:message|query|question|text|prompt)|gespräch\w*|unterhaltung\w*|konversation|conversación|conversa|bate-papo|conversazione|gesprek|rozmow\w+"
    r"|разговор\w*|диалог\w*|беседы|чат\w*|sohbet\w*)\b|对话|会话|聊天|會話|会話|チャット|대화|채팅|محادثة|बातचीत"
)
_FORMAT = re.compile(
    r"\bjson\b|\bonly (?:return|output|respond|reply|answer|write|the title)|(?:return|respond|reply|output|answer|provide)(?: \w+)? (?:only|just|solely|exclusively)\b|\bnothing else\b"
    r"|\b(?:no|without|avoid|exclude|omit)(?: any| using)? (?:\w+,? (?:or |and )?){0,3}(?:quot\w+|punctuation|explanations?|lead-in|formatting|extra text|preamble)"
    r"|\b\d+\s*(?:-|–|to|or)\s*\d*\s*(?:words?|characters|chars)|\b(?:max(?:imum)?|up to|at most|under|fewer than|less than|no more than|not longer than|within)\W+(?:of )?\d+ (?:words?|char\w+)"
    r"|\b\d+[- ]words?[- ]or[- ]less|\b\w+ words? or (?:less|fewer)|\b(?:two|three|four|five|six) (?:to|or|-) (?:\w+) words?\b|\bone per line\b|\bjson array|title case|max \d+"
    r"|\bnur (?:den|die|mit)|\bsolo (?:el|con|il)|\bsomente|\bapenas|\buniquement|\bseulement|\bтолько|\bsadece|只(?:返回|输出|回答|需)|不要|字以内|个字|のみ|だけ|文字以内|만 |이내"
)
_SIGNS = (
    ("title", re.compile(r"\b(?:titles?|topic|headline|titel|título|titre|titolo|tytuł|заголовок|название|başlık)\b|标题|標題|主题|タイトル|題名|제목|عنوان|शीर्षक")),
    ("tag", re.compile(r"\b(?:tags?|labels?|categories|schlagwörter|etiquetas|étiquettes)\b|标签|タグ|태그")),
    ("follow", re.compile(
        r"\b(?:follow[- ]?ups?|next (?:questions?|prompts?|messages?)|suggested (?:questions?|replies|prompts?)|(?:questions?|prompts?|replies)[^.\n]{0,40} user (?:might|may|could|would)"
        r"|anschlussfragen|folgefragen|preguntas de seguimiento|questions de suivi|perguntas de acompanhamento)\b|后续问题|追问|フォローアップ|후속 질문"
    )),
    ("search", re.compile(r"\b(?:web |internet )?search(?:ing)? quer(?:y|ies)\b|\bretrieval quer(?:y|ies)\b|搜索查询|検索クエリ")),
    ("emoji", re.compile(r"\bemojis?\b")),
)  # fmt: skip
_AUTOCOMPLETE = re.compile(
    r"\bauto-?complet(?:e|ion)\b[^\n]{0,60}(?:system|engine|assistant|text|sentence)|<text>.*</text>", re.DOTALL
)
_EMBEDDED_CHAT = re.compile(
    r"<(?:chat_history|conversation|chat|messages|dialogue|transcript)>|#{2,4} (?:chat|conversation) history|\n(?:user|human|assistant|ai|model)\s*:",
    re.IGNORECASE,
)


def is_housekeeping(text: str) -> bool:
    """Tell whether a message or a system prompt is a chat UI's own errand."""
    clipped = text if len(text) <= HEAD_CHARS + TAIL_CHARS else f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"
    folded = clipped.casefold()
    if not _FORMAT.search(folded):
        return False
    if _AUTOCOMPLETE.search(folded) and "json" in folded:
        return True
    if not _MAKE.search(folded[:HEAD_CHARS]):
        return False
    names_conversation = _CONVERSATION.search(folded) is not None
    for sign, wanted in _SIGNS:
        if not wanted.search(folded):
            continue
        if sign == "emoji":
            if "facial expression" in folded or (names_conversation and "title" not in folded and len(folded) < 400):
                return True
        elif names_conversation or _EMBEDDED_CHAT.search(folded):
            return True
    return False
