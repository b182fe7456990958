import pytest

from classifier.cues import NAMES, ROWS, SIGNS, Cue, Cues, answer_type_of, read_cues, rows_of, sections
from classifier.types import AnswerType

# Written for this test, apart from the corpus: the form of the answer, then questions in one language after another.
QUESTIONS = r"""
numeric | How many primes are below 100?
numeric | What is 17 * 23?
numeric | 48/6+7
numeric | how much is 18% tip on 62.40
numeric | How far is the moon?
numeric | what's the probability of two sixes in a row
numeric | calculate the area of a circle with radius 4
choice | Pick the right one.\nA. red\nB. blue\nC. green
choice | Is the sky blue? Answer yes or no.
choice | Is 3599 prime?
choice | are tomatoes a fruit
choice | Can I freeze cooked rice?
choice | does a whale have lungs?
choice | which is heavier, a litre of oil or a litre of water?
choice | should I take the train or the bus?
choice | true or false: the sun is a star
choice | Classify each as living or not: stone, moss, yeast
date | When was the treaty signed?
date | what is the date in MM/DD/YYYY?
date | what year did the titanic sink
date | when is the next leap year?
entity | Who wrote Middlemarch?
entity | What is the capital of Peru?
entity | what's another word for happy
entity | who painted the mona lisa
entity | Which country has the most lakes?
json | List three fruits as JSON with name and colour.
json | return json: {"city": ..., "country": ...}
json | extract the names from this mail, in json
code | Write a Python function that reverses a list.
code | sql query to find duplicate emails
code | regex for a uk postcode
code | fix this: for i in range(10) print(i)
code | bash script that renames all jpgs by date
factual | What is photosynthesis?
factual | why is the sky blue?
factual | what does 'ad hoc' mean?
factual | Where do penguins live?
factual | what does this regex match: ^[a-z]+$
factual | what's the difference between a crocodile and an alligator?
open | Write me a poem about rain.
open | hello
open | thanks a lot!
open | How do I get red wine out of a carpet?
open | translate into Spanish: the shop is closed on Mondays
open | summarise this in two sentences
open | Explain how a fridge works
open | Prove that the square root of 2 is irrational.
open | plan a weekend in Lisbon for two
open | gift ideas for my dad
numeric | Wie viele Bundesländer hat Deutschland?
numeric | wie viel ist 15 % von 80
numeric | Berechne die Fläche eines Kreises mit Radius 3.
choice | Ist 91 eine Primzahl?
choice | darf ich im Park grillen?
choice | Soll ich kündigen oder bleiben?
date | Wann beginnt der Sommer?
date | was ist das Datum heute?
entity | Wer hat die Glühbirne erfunden?
entity | Was ist die Hauptstadt von Kanada?
json | gib mir das als JSON mit Name und Alter
code | Schreib eine Funktion in Python, die Vokale zählt.
factual | Was ist Osmose?
factual | warum ist Blut rot?
open | Schreibe eine kurze Einladung zum Grillfest
open | Wie bekomme ich Kalk aus dem Wasserkocher?
open | danke dir!
numeric | Combien de jours y a-t-il dans une année bissextile ?
numeric | calcule 12 % de 250
choice | Est-ce que le requin est un mammifère ?
choice | puis-je congeler du fromage ?
date | Quand commence le printemps ?
date | quelle est la date limite pour s'inscrire ?
entity | Qui a peint la Joconde ?
entity | quelle est la capitale du Portugal
json | mets ça en JSON : nom, âge, ville
code | écris une fonction Python qui trie une liste
factual | c'est quoi une métaphore
factual | Pourquoi la mer est-elle salée ?
open | Écris un poème sur l'automne
open | comment enlever une tache de café ?
open | merci beaucoup !
numeric | ¿Cuántos días tiene un año?
numeric | cuánto es el 21 % de 340
choice | ¿Es 57 un número primo?
choice | ¿puedo lavar la lana a máquina?
date | ¿Cuándo es el solsticio?
date | ¿en qué año cayó Constantinopla?
entity | ¿Quién escribió el Quijote?
entity | capital de Australia
json | devuélvelo en json con nombre y precio
code | escribe una función en python que invierta una cadena
factual | ¿Qué es la inflación?
factual | ¿por qué lloran los bebés?
open | escribe un cuento corto sobre un faro
open | cómo quito manchas de tinta de una camisa
open | gracias, hasta luego
numeric | Quantos ossos tem o corpo humano?
numeric | quanto é 30% de 90
choice | O tomate é fruta ou legume?
choice | posso congelar iogurte?
date | Quando começa o inverno?
date | em que ano acabou a guerra?
entity | Quem escreveu Os Lusíadas?
entity | qual é a capital da Noruega
json | devolve em json com nome e idade
code | faz uma função em python que soma os pares
factual | o que é fotossíntese?
factual | por que o gelo flutua?
open | escreve um poema sobre o mar
open | como faço pão de queijo?
open | obrigado, boa noite
numeric | Quanti giorni ha febbraio?
numeric | quanto fa 7 per 8
choice | è vero che i gatti vedono al buio?
choice | conviene comprare o affittare casa?
date | quando inizia l'estate?
date | in che anno è nato Dante?
entity | Chi ha dipinto la Gioconda?
entity | qual è la capitale della Svezia?
json | restituisci in json con nome e prezzo
code | scrivi una funzione in python che conta le vocali
factual | cos'è la fotosintesi
factual | perché il cielo è blu?
open | scrivi una filastrocca sulla neve
open | come si fa il pesto?
open | grazie mille
numeric | Hoeveel provincies heeft Nederland?
numeric | hoeveel is 12% van 650
choice | Is 51 een priemgetal?
choice | mag ik hier parkeren?
date | wanneer begint de herfst?
entity | wie schreef Max Havelaar
entity | hoe heet het jong van een paard
json | zet dit in json: naam en leeftijd
code | schrijf een functie in python die een lijst sorteert
factual | wat is inflatie?
factual | waarom is de lucht blauw?
open | schrijf een gedichtje voor oma
open | hoe krijg ik kauwgom uit haar?
numeric | Ile województw ma Polska?
numeric | ile to jest 15% z 240
choice | Czy 97 to liczba pierwsza?
choice | czy można zamrozić twaróg?
date | kiedy zaczyna się wiosna?
date | w którym roku był chrzest Polski?
entity | kto napisał Lalkę?
entity | stolica Finlandii
json | zwróć json z polami imię i wiek
code | napisz funkcję w pythonie która sortuje listę
factual | co to jest entropia?
factual | dlaczego niebo jest niebieskie?
open | napisz wierszyk o jesieni
open | jak usunąć plamę z wina?
numeric | Сколько планет в Солнечной системе?
numeric | сколько будет 15% от 320
choice | Правда ли, что летучие мыши слепые?
choice | можно ли заморозить сметану?
date | когда начинается весна?
date | в каком году крестили Русь?
entity | кто написал Мёртвые души?
entity | столица Норвегии
json | верни json с полями имя и возраст
code | напиши функцию на python которая сортирует список
factual | что такое энтропия?
factual | почему небо голубое?
open | напиши стих про осень
open | как убрать пятно от вина?
numeric | Türkiye'de kaç il var?
numeric | 240'ın yüzde 15'i kaç eder
choice | 97 asal sayı mı?
choice | yoğurt dondurulur mu?
date | bahar ne zaman başlar?
entity | İnce Memed'i kim yazdı?
entity | Norveç'in başkenti neresi
json | bunu json yap: ad, yaş
code | python ile listeyi sıralayan fonksiyon yaz
factual | entropi nedir?
open | sonbahar hakkında şiir yaz
open | teşekkürler, iyi geceler
numeric | كم عدد أيام السنة الكبيسة؟
numeric | احسب 15% من 320
choice | هل العدد 97 أولي؟
choice | هل يمكن تجميد اللبن؟
date | متى يبدأ فصل الربيع؟
entity | من كتب ألف ليلة وليلة؟
entity | ما عاصمة النرويج؟
json | حول النص إلى json: الاسم والعمر
code | اكتب دالة بايثون تعكس قائمة
factual | ما هو التضخم؟
factual | لماذا السماء زرقاء؟
open | اكتب قصيدة عن المطر
open | شكرا جزيلا
numeric | भारत में कितने राज्य हैं?
numeric | 320 का 15% कितना होता है
choice | क्या 97 अभाज्य संख्या है?
date | वसंत कब शुरू होता है?
entity | गोदान किसने लिखा?
entity | नॉर्वे की राजधानी
json | इसे json में दो: नाम, उम्र
code | python में लिस्ट उलटने का फंक्शन लिखो
factual | महंगाई क्या है?
factual | आसमान नीला क्यों है?
open | बारिश पर कविता लिखो
open | धन्यवाद
numeric | 日本には都道府県がいくつありますか？
numeric | 320の15%はいくら
choice | 97は素数ですか？
choice | 犬と猫、どっちが長生き？
date | 今日は何日ですか
date | 春分の日はいつ？
entity | 吾輩は猫であるを書いたのは誰？
entity | ノルウェーの首都は？
json | 名前と年齢をjsonで返して
code | リストを逆順にするpythonの関数を書いて
factual | 光合成とは何ですか？
factual | 空はなぜ青いの？
open | 雨についての詩を書いて
open | ありがとう、おやすみ
numeric | 中国有多少个省？
numeric | 320的15%是多少
choice | 97是质数吗？
choice | 酸奶能不能冷冻？
date | 春分是哪天？
date | 今天几号
entity | 红楼梦是谁写的？
entity | 挪威的首都是哪里
json | 用json输出姓名和年龄
code | 用python写一个反转列表的函数
factual | 什么是光合作用？
factual | 天空为什么是蓝色的？
open | 写一首关于雨的诗
open | 谢谢，晚安
numeric | 한국에는 도가 몇 개 있어?
numeric | 320의 15%는 얼마야
choice | 97은 소수인가요?
choice | 요거트 얼려도 되나요?
date | 춘분이 언제야?
entity | 홍길동전은 누가 썼어?
entity | 노르웨이 수도
json | 이름이랑 나이를 json으로 줘
code | 리스트 뒤집는 파이썬 함수 짜줘
factual | 광합성이 뭐야?
factual | 하늘은 왜 파래?
open | 비에 대한 시를 써줘
open | 고마워 잘 자
numeric | Việt Nam có bao nhiêu tỉnh?
numeric | 15% của 320 là bao nhiêu
choice | 97 có phải số nguyên tố không?
choice | sữa chua có thể để đông đá được không?
date | khi nào bắt đầu mùa xuân?
entity | ai viết Truyện Kiều?
entity | thủ đô của Na Uy
json | trả về json gồm tên và tuổi
code | viết hàm python đảo ngược danh sách
factual | lạm phát là gì?
factual | tại sao trời xanh?
open | viết bài thơ về mưa
open | cảm ơn nhé
numeric | Ada berapa provinsi di Indonesia?
numeric | 15% dari 320 berapa
choice | apakah 97 bilangan prima?
choice | boleh simpan yogurt di freezer?
date | kapan hari kemerdekaan?
entity | siapa penulis Laskar Pelangi?
entity | ibu kota Norwegia
json | ubah ke json: nama dan umur
code | buatkan fungsi python untuk membalik list
factual | apa itu inflasi?
factual | kenapa langit biru?
open | tulis puisi tentang hujan
open | makasih ya
"""
PAIRS = [line.split(" | ", 1) for line in QUESTIONS.strip().splitlines()]


def read_type(text: str) -> AnswerType:
    return answer_type_of(read_cues(text.replace("\\n", "\n")))


@pytest.mark.parametrize(("expected", "text"), PAIRS)
def test_the_form_of_the_answer_is_read_from_the_question(expected: str, text: str) -> None:
    assert read_type(text) is AnswerType(expected)


def test_an_article_with_figures_asks_for_no_number() -> None:
    article = (
        "Summarise this article: Profits rose by 12 % to 3.4 billion in 2024, the number of staff fell from 8,200 to "
        "7,900, and the average wage went up 4.1 %. How much of it will last is unclear."
    )
    assert read_type(article) is AnswerType.OPEN


def test_every_listed_phrase_is_found() -> None:
    unspaced = "\u3042"  # parts are searched for in scripts without spaces
    lost = [
        (name, phrase)
        for name, key, phrase in sections()
        if not read_cues(unspaced * (key == "parts") + phrase).anywhere >> NAMES.index(name) & 1
    ]
    assert lost == []


def test_cues_are_named_as_in_the_lexicon() -> None:
    assert [name.upper() for name in NAMES] == [name for name in vars(Cue) if name.isupper()]


def test_every_cue_has_a_row_of_its_own() -> None:
    rows = rows_of(Cues._make([(1 << len(NAMES)) - 1] * 8 + [(1 << SIGNS) - 1]))
    assert rows == list(range(ROWS))


def test_case_and_typographic_apostrophes_change_nothing() -> None:
    assert read_cues("WHAT'S THE DATE?") == read_cues("what’s the date?")


@pytest.mark.parametrize("text", ["", " ", "\n", "?", "...", "\U0001f600", "\x00", "a" * 10000])
def test_any_text_is_read(text: str) -> None:
    assert answer_type_of(read_cues(text)) in AnswerType
