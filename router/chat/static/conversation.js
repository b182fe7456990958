// The conversation as data: kept in this tab alone (sessionStorage) and sent anew with each question.

const KEY = "tierwise-chat";

// Asked in the words of somebody who doubts: it is booked as a doubt about the answer.
export const CHECK = "Are you sure? Check the answer above as somebody who did not write it: work the question out on your own first, "
  + "then compare. Say in a few sentences what is right and what is wrong or missing, in the language of the question. "
  + "End with one line of its own: VERDICT: AGREE if the answer is right, VERDICT: DISAGREE if it is not.";
const VERDICT = /^\W*VERDICT\W+(AGREE|DISAGREE)\W*$/gim;

export class Conversation {
  constructor({ id = crypto.randomUUID?.() ?? String(Math.random()).slice(2), turns = [] } = {}) {
    this.id = id;
    this.turns = turns;
  }

  static restore() {
    try {
      return new Conversation(JSON.parse(sessionStorage.getItem(KEY)) ?? {});
    } catch {
      return new Conversation();
    }
  }

  keep() {
    try {
      sessionStorage.setItem(KEY, JSON.stringify({ id: this.id, turns: this.turns }));
    } catch {
      // Too long to be kept, or not allowed: it lives on in the page.
    }
  }

  add(question) {
    const turn = { question, answers: [] };
    this.turns.push(turn);
    return turn;
  }

  // What is sent to have a turn answered: the turns before it that have answers, and its question.
  messagesFor(turn) {
    const before = this.turns.slice(0, this.turns.indexOf(turn)).filter(answered);
    return [...before.flatMap((one) => [{ role: "user", content: one.question }, { role: "assistant", content: answered(one) }]), { role: "user", content: turn.question }];
  }

  messagesToCheck(turn, answer) {
    return [...this.messagesFor(turn), { role: "assistant", content: answer.text }, { role: "user", content: CHECK }];
  }
}

function answered(turn) {
  return turn.answers.findLast((answer) => answer.text)?.text;
}

// What a check came to: "agrees", "disagrees" or "unclear", and its words without the line that says so.
export function verdictOf(text) {
  const found = [...text.matchAll(VERDICT)].at(-1);
  const verdict = !found ? "unclear" : found[1].toUpperCase() === "AGREE" ? "agrees" : "disagrees";
  return { verdict, words: text.replaceAll(VERDICT, "").trim() };
}
