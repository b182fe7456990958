"""Words and word pairs that tell the stakes of a question and the form of its answer.

Lexicons, not learned weights: they are readable, can be argued with, and cost one table look-up, because cues are
found by the same hashes as the model's n-grams. Scripts without spaces between words are searched as text instead.
"""

import re

import numpy as np

from classifier.features import Features, hash_phrase
from classifier.types import AnswerType, Stakes


class Cue:
    """What one word or pair of words speaks for: bits, as plain integers because every query tests most of them."""

    HIGH_STAKES = 1
    NUMERIC = 2
    DATE = 4
    ENTITY = 8
    JSON = 16
    CODE = 32
    FACTUAL = 64
    OPEN = 128
    CHOICE = 256


PHRASES: dict[int, str] = {
    Cue.HIGH_STAKES: """
        suicide, suicidal, kill myself, hurt myself, self harm, end my, overdose, overdosed, poisoned, poisoning,
        chest pain, stroke, heart attack, seizure, seizures, unconscious, bleeding, pregnant, pregnancy, miscarriage,
        dose, doses, dosage, dosages, medication, medications, medicine, medicines, antibiotics, antibiotic, insulin,
        ibuprofen, paracetamol, acetaminophen, aspirin, warfarin, opioid, opioids, prescription, diagnosis, diagnosed,
        symptom, symptoms, tumor, tumour, cancer, diabetes, diabetic, blood pressure, allergic reaction, anaphylaxis,
        vaccine, vaccines, my doctor, side effects, chemotherapy, surgery, infection, fever, rash, depression,
        antidepressant, antidepressants, my baby, my toddler, eating disorder, abuse, abused, assault, assaulted,
        lawyer, lawyers, attorney, lawsuit, sue, sued, custody, divorce, eviction, evicted, evict, landlord, tenant,
        visa, immigration, deported, deportation, asylum, arrested, bail, felony, misdemeanor, contract law, liable,
        liability, of attorney, restraining order, legal advice, is illegal, is legal, legally, mortgage, bankruptcy,
        foreclosure, debt, debts, tax, taxes, irs, pension, retirement savings, life savings, loan, loans, invest,
        investing, investment, investments, payday loan, credit score, inheritance, insurance claim, carbon monoxide,
        gas leak, electrocuted, electric shock, mix bleach, bleach, drain cleaner, rat poison, swallowed, choking, not
        breathing, snake bite, concussion, sleeping pills, painkillers, blood thinner, blood thinners, withdrawal
        symptoms, to die, wild mushrooms, domestic violence, my savings, one stock, single stock, in stocks, buy
        stocks, into stocks, my portfolio, retirement fund, day trading, wire transfer, explosive, explosives,
        wildfire, evacuate, suicidio, suicidarme, quitarme, matarme, dosis, medicamento, medicamentos, embarazada,
        embarazo, fiebre, dolor pecho, el pecho, cáncer, diabetes, síntomas, síntoma, abogado, abogada, demanda,
        divorcio, desalojo, hipoteca, impuestos, deuda, deudas, préstamo, invertir, bancarrota, sobredosis, pastillas,
        presión arterial, suicide, suicider, médicament, médicaments, posologie, enceinte, grossesse, fièvre, cancer,
        diabète, symptôme, symptômes, avocat, divorce, expulsion, hypothèque, impôts, impôt, dette, dettes, prêt,
        investir, ordonnance, selbstmord, suizid, umbringen, dosierung, medikament, medikamente, tabletten, schwanger,
        schwangerschaft, fieber, krebs, brustschmerzen, blutdruck, symptome, anwalt, rechtsanwalt, scheidung,
        kündigung, räumung, hypothek, steuern, steuererklärung, schulden, kredit, insolvenz, überdosis, vergiftung,
        herzinfarkt, suicídio, remédio, remédios, medicamento, grávida, gravidez, febre, advogado, divórcio, despejo,
        imposto, impostos, dívida, dívidas, empréstimo, sintomas, uccidermi, farmaco, farmaci, incinta, gravidanza,
        febbre, avvocato, divorzio, sfratto, mutuo, tasse, debito, debiti, sintomi, самоубийство, суицид, беременна,
        беременность, лекарство, лекарства, дозировка, симптомы, адвокат, юрист, развод, выселение, ипотека, налоги,
        налог, кредит, банкротство, температура ребенка, давление, انتحار, دواء, جرعة, حامل, محامي, طلاق, ضرائب,
        आत्महत्या, दवा, गर्भवती, वकील, intihar, ilaç, hamile, avukat
    """,
    Cue.NUMERIC: """
        how many, how much, how far, how long, how tall, how old, how fast, what percentage, what percent, what number,
        calculate, compute, evaluate, the value, the sum, the product, the probability, the area, the volume, the
        perimeter, the number, the total, the average, the remainder, find the, solve for, what fraction, the smallest,
        the largest, the greatest, the least, the ratio, common divisor, common multiple, the determinant, expected
        value, cuántos, cuántas, cuánto, cuánta, calcula, calcular, combien, calculer, calculez, wie viele, wie viel,
        berechne, berechnen, quantos, quantas, quanto, calcule, quanti, quante, calcola, сколько, вычислите, найдите,
        كم, kaç
    """,
    Cue.DATE: """
        when did, when was, when is, when were, when will, what year, which year, what date, which date, what day, which
        day, in what, date of, qué año, qué fecha, cuándo, quelle année, quelle date, quand, wann, welchem jahr, quando,
        em que, которому году, каком году, когда
    """,
    Cue.ENTITY: """
        who is, who was, who wrote, who won, who invented, who discovered, who painted, who directed, who founded,
        whose, which country, which city, which company, which team, which person, which language, what city, what
        country, capital of, the capital, the name, name of, quién, quien, capital de, la capital, qui est, qui était,
        quelle ville, wer ist, wer war, wer hat, hauptstadt, quem, chi è, chi ha, кто, столица, где находится
    """,
    Cue.JSON: """
        json, as json, json object, json array, json schema, valid json, in json
    """,
    Cue.CODE: """
        write function, python function, python script, python code, python program, javascript function, sql query,
        bash script, shell script, regular expression, regex, write program, code that, code to, function that, function
        to, class that, script that, script to, program that, program to, implement, refactor, unit test, unit tests,
        stack trace, typescript, dockerfile, html, css, write code, the code, this code, my code, fix this, debug,
        pandas, numpy, leetcode, def, función que, código, fonction qui, une fonction, le code, eine funktion, funktion
        die, den code, função que, функцию, код
    """,
    Cue.FACTUAL: """
        what is, what are, what was, what were, what does, what do, where is, where was, where are, does the, is the, is
        it, are there, is there, true or, or false, define, definition of, the meaning, meaning of, what causes, qué es,
        qué son, dónde, qu est, est ce, où est, was ist, was sind, wo ist, ist es, que é, cos è, dove, что такое, где
    """,
    Cue.OPEN: """
        write an, write me, write about, essay, poem, story, haiku, song, lyrics, blog post, email, cover letter, letter
        to, brainstorm, ideas, ideas for, suggest, suggestions, recommend, recommendations, advice, explain, describe,
        discuss, summarize, summarise, summary, rewrite, rephrase, paraphrase, translate, plan for, itinerary, recipe,
        compare, outline, tips, help me, opinion, your thoughts, pros and, convince, persuade, imagine, roleplay,
        escribe, poema, ensayo, explica, resume, traduce, écris, poème, explique, résume, traduis, schreibe, gedicht,
        erkläre, fasse, übersetze, escreva, explique, traduza, scrivi, spiega, traduci, напиши, объясни, переведи
    """,
    Cue.CHOICE: """
        which of, the following, correct option, correct answer, multiple choice, choose the, pick the, select the, true
        or
    """,
}

_SHIFT = np.array(16, np.uint32)  # leaves the first half of a hash
_UNSPACED_HIGH_STAKES = re.compile(
    "自杀|自殺|怀孕|懷孕|妊娠|药量|剂量|用药|服用|处方|症状|癌症|胸痛|中毒|律师|律師|起诉|离婚|離婚|房贷|贷款|税务|报税|"
    "投资|破产|死にたい|薬|服用量|弁護士|訴訟|住宅ローン|税金|投資|がん|약 |복용|임신|자살|변호사|이혼|세금|대출|투자|"
    "ฆ่าตัวตาย|ยา|ตั้งครรภ์|ทนาย"
)
_OPTION = re.compile(r"\n[ \t]*\(?([a-e1-5])[.):]\)?[ \t]+\S")
_OUTPUT_OF_CODE = "== ??"
_EITHER = ("yes or no", "true or false", "yes/no", "true/false")
# Digits of most scripts are listed: a list is searched for in half the time of a class of characters.
_ARITHMETIC = re.compile(r"[0-9٠-٩۰-۹०-९০-৯๐-๙０-９]\s*[-+*/^=x×÷]\s*\(?-?\d")


def table() -> dict[int, int]:
    """Cue bits by n-gram hash."""
    bits: dict[int, int] = {}
    for cue, phrases in PHRASES.items():
        for phrase in phrases.split(","):
            key = hash_phrase(" ".join(phrase.split()))
            bits[key] = bits.get(key, 0) | cue
    return bits


class Cues:
    """Finds the cues of a text by its n-gram hashes."""

    def __init__(self) -> None:
        self._bits = table()
        # Which first halves of hashes cues have: few n-grams of a text are left to be looked up.
        self._may_be = np.zeros(1 << 16, np.bool_)
        self._may_be[np.array(list(self._bits), np.uint32) >> _SHIFT] = True

    def of(self, features: Features) -> int:
        """All cues present."""
        cues, grams = 0, features.grams
        may_be = self._may_be.take(grams >> _SHIFT)
        if np.count_nonzero(may_be):
            for gram in grams[may_be].tolist():
                cues |= self._bits.get(gram, 0)
        return cues


def stakes_of(text: str, cues: int, *, is_ascii: bool) -> Stakes:
    """High when a word of a sensitive field is there, in any of the languages known here."""
    if cues & Cue.HIGH_STAKES or (not is_ascii and _UNSPACED_HIGH_STAKES.search(text)):
        return Stakes.HIGH
    return Stakes.LOW


def _offers_two(lowered: str) -> bool:
    return ("yes" in lowered or "true" in lowered) and any(map(lowered.__contains__, _EITHER))


def answer_type_of(text: str, cues: int) -> AnswerType:
    """The most telling cue wins, from forms that a text states outright to those it only suggests."""
    lowered = text.lower()
    options = len(set(_OPTION.findall("\n" + lowered))) if "\n" in text else 0
    if options >= 3 or (options == 2 and cues & Cue.CHOICE) or _offers_two(lowered):
        return AnswerType.CHOICE
    if cues & Cue.JSON and not lowered.startswith(("what is", "explain")):
        return AnswerType.JSON
    if cues & Cue.CODE and _OUTPUT_OF_CODE not in text:
        return AnswerType.CODE
    if cues & Cue.OPEN and not cues & Cue.NUMERIC:
        return AnswerType.OPEN
    if cues & Cue.DATE:
        return AnswerType.DATE
    if cues & Cue.NUMERIC or _ARITHMETIC.search(text, 0, 400):
        return AnswerType.NUMERIC
    if cues & Cue.ENTITY:
        return AnswerType.ENTITY
    if cues & (Cue.FACTUAL | Cue.CHOICE) or _OUTPUT_OF_CODE in text:
        return AnswerType.FACTUAL
    return AnswerType.OPEN
