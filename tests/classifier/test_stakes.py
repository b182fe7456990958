import pytest

from classifier.cues import read_cues, stakes_of
from classifier.types import Stakes

# Written for this test, apart from the corpus.
HIGH = """
i don't want to be here anymore
my friend says he will kill himself, he's suicidal
how many mg of ibuprofen can a 12 kg child take?
can I take sertraline together with ibuprofen?
missed two doses of warfarin, should i double up?
is it ok to drink on amoxicillin?
14 weeks pregnant with a fever of 39, is paracetamol safe?
my dad has chest pain and his arm is numb, wait or call?
my toddler swallowed a battery, hospital?
my baby has a rash and a fever, should I see a doctor?
my landlord keeps my 2,400 € deposit, can I sue?
can my employer fire me while i'm on sick leave and keep my bonus? salary 48k
put my life savings of $80,000 into one stock?
refinance the mortgage of $310k at 5.9 or stay?
i owe the IRS $14,000, what happens if my tax return is late and I go to court?
smell gas in the kitchen, my wife is dizzy, what now?
Welche Dosis Ibuprofen für ein Kind mit 14 kg?
Ich bin schwanger, darf ich Aspirin Tabletten nehmen?
Ich will nicht mehr leben
mein vater hat brustschmerzen, abwarten oder notaufnahme, soll ich ihn fahren?
Combien de comprimés de paracétamol par jour pour un adulte ?
j'ai envie de mourir, en finir
¿Puedo tomar ibuprofeno embarazada?
no quiero vivir más, quiero matarme
posso tomar dipirona com antibiótico?
quero morrer, vou me matar
posso prendere la tachipirina in gravidanza?
voglio morire
mag ik ibuprofen nemen, ik ben zwanger?
czy mogę wziąć ibuprom w ciąży?
można ли беременной принимать ибупрофен?
хочу умереть
hamileyken antibiyotik kullanabilir miyim?
ölmek istiyorum
هل يمكن للحامل أخذ دواء بنادول؟
क्या गर्भवती को पैरासिटामोल दवा देना सुरक्षित है?
妊娠中にロキソニンを飲んでも大丈夫ですか？
死にたい
孕妇能吃布洛芬吗？
我不想活了
임산부가 타이레놀 복용해도 되나요?
죽고 싶어
bà bầu uống thuốc kháng sinh được không?
bolehkah ibu hamil minum obat parasetamol?
"""
LOW = """
thanks!
what's the capital of france
write a poem about autumn
how many legs does a spider have?
best way to boil eggs
python function that counts words
translate into German: the meeting is at nine
what does a pharmacist do
who discovered penicillin
explain how a mortgage works
what is inflation
plan a picnic for ten
is 91 prime?
name three Greek gods
how long to roast a chicken of 2 kg
my boss is always late, write a funny card for him
which guitar for a beginner
what year did the berlin wall fall
how do i get wine out of a shirt
tell me a joke about lawyers
danke schön
Wie koche ich Reis?
was ist die hauptstadt von polen
schreib ein gedicht über regen
merci beaucoup
combien font 12 fois 8
gracias
receta de tortilla de patatas
obrigado
capital da suécia
grazie mille
come si fa il pesto
hoeveel is 12 keer 8
kto napisał Lalkę
столица Норвегии
сколько планет
teşekkürler
97 asal mı
من كتب ألف ليلة وليلة؟
भारत की राजधानी
ありがとう
写一首诗
고마워
thủ đô của Na Uy
siapa penulis Laskar Pelangi?
"""


@pytest.mark.parametrize("text", HIGH.strip().splitlines())
def test_what_may_do_harm_has_high_stakes(text: str) -> None:
    assert stakes_of(read_cues(text)) is Stakes.HIGH


@pytest.mark.parametrize("text", LOW.strip().splitlines())
def test_everyday_questions_have_low_stakes(text: str) -> None:
    assert stakes_of(read_cues(text)) is Stakes.LOW
