// Markdown of models as nodes of the page. No text of theirs is ever read as HTML; links lead to http and https only.

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?(.*)$/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])(?:\s+|$)(.*)$/;
const ROW = /^\s*\|?.*\|.*$/;
const BETWEEN = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const MATH_BLOCK = /^\s*(\$\$|\\\[)/;
const DEEPEST = 8; // quotes and lists within each other

export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

export function render(text) {
  const place = document.createDocumentFragment();
  place.append(...blocks(text.replaceAll("\r\n", "\n").split("\n"), 0));
  return place;
}

function blocks(lines, depth) {
  const made = [];
  for (let at = 0; at < lines.length; ) {
    const [node, next] = block(lines, at, depth);
    if (node) made.push(node);
    at = next;
  }
  return made;
}

// One block from line `at` on: its node, and the line after it.
function block(lines, at, depth) {
  const line = lines[at];
  let found;
  if (!line.trim()) return [null, at + 1];
  if ((found = FENCE.exec(line))) return fenced(lines, at, found);
  if (MATH_BLOCK.test(line)) return mathBlock(lines, at);
  if ((found = HEADING.exec(line))) return [make(`h${Math.min(found[1].length + 1, 5)}`, {}, ...inline(found[2])), at + 1];
  if (RULE.test(line)) return [make("hr"), at + 1];
  if (depth < DEEPEST && QUOTE.test(line)) return quoted(lines, at, depth);
  if (depth < DEEPEST && ITEM.test(line)) return list(lines, at, depth);
  if (ROW.test(line) && BETWEEN.test(lines[at + 1] ?? "") && lines[at + 1].includes("-")) return table(lines, at);
  return paragraph(lines, at, depth);
}

function begins(lines, at, depth) {
  const line = lines[at];
  const inner = depth < DEEPEST && (QUOTE.test(line) || /^ *(?:[-*+]|1[.)])\s+\S/.test(line));
  return inner || FENCE.test(line) || HEADING.test(line) || RULE.test(line) || MATH_BLOCK.test(line)
    || (ROW.test(line) && BETWEEN.test(lines[at + 1] ?? ""));
}

function paragraph(lines, at, depth) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !begins(lines, end, depth)) end += 1;
  return [make("p", {}, ...inline(lines.slice(at, end).join("\n"))), end];
}

function fenced(lines, at, [, mark, language]) {
  let end = at + 1;
  while (end < lines.length && !(lines[end].trim().startsWith(mark) && !lines[end].trim().replaceAll(mark[0], ""))) end += 1;
  const indent = lines[at].length - lines[at].trimStart().length;
  const code = lines.slice(at + 1, end).map((line) => line.replace(new RegExp(`^ {0,${indent}}`), "")).join("\n");
  return [codeBlock(code, language.trim().split(/\s/)[0]), end + 1];
}

function codeBlock(code, language) {
  const name = language || "Code";
  const copy = make("button", { type: "button", class: "quiet", "data-copy": "" }, "Copy");
  const pre = make("pre", { tabindex: "0", role: "region", "aria-label": language ? `Code, ${language}` : "Code" }, make("code", {}, code));
  return make("div", { class: "code" }, make("header", {}, make("span", {}, name), copy), pre);
}

function mathBlock(lines, at) {
  const close = lines[at].trim().startsWith("$$") ? "$$" : "\\]";
  let end = at;
  const isClosed = (line, from) => line.indexOf(close, from) >= 0;
  while (end < lines.length && !isClosed(lines[end], end === at ? lines[at].search(/\S/) + 2 : 0)) end += 1;
  return [make("div", { class: "math" }, lines.slice(at, end + 1).join("\n").trim()), end + 1];
}

function quoted(lines, at, depth) {
  const inner = [];
  let end = at;
  for (let found; end < lines.length && (found = QUOTE.exec(lines[end])); end += 1) inner.push(found[1]);
  return [make("blockquote", {}, ...blocks(inner, depth + 1)), end];
}

// A list and what is indented below its items; blank lines between items are part of it.
function list(lines, at, depth) {
  const first = ITEM.exec(lines[at]), indent = first[1].length, isOrdered = /\d/.test(first[2]);
  const made = make(isOrdered ? "ol" : "ul", isOrdered && parseInt(first[2]) !== 1 ? { start: String(parseInt(first[2])) } : {});
  let end = at;
  while (end < lines.length) {
    const found = ITEM.exec(lines[end]);
    if (!found || found[1].length > indent + 1 || found[1].length < indent || /\d/.test(found[2]) !== isOrdered) break;
    const inner = [found[3]], below = indent + found[2].length + 1;
    for (end += 1; end < lines.length; end += 1) {
      const line = lines[end], space = line.search(/\S/);
      if (space < 0 ? !isContinued(lines, end, indent) : space <= indent && (ITEM.test(line) || !lines[end - 1].trim() || begins(lines, end, depth))) break;
      inner.push(line.slice(Math.min(Math.max(space, 0), below)));
    }
    made.append(make("li", {}, ...tight(blocks(inner, depth + 1))));
    while (end < lines.length && !lines[end].trim() && ITEM.test(lines[end + 1] ?? "")) end += 1;
  }
  return [made, Math.max(end, at + 1)];
}

function isContinued(lines, at, indent) {
  const next = lines.slice(at + 1).find((line) => line.trim());
  return next !== undefined && next.search(/\S/) > indent;
}

// An item of one paragraph is a line; only longer ones keep their paragraphs.
function tight(nodes) {
  const paragraphs = nodes.filter((node) => node.tagName === "P");
  return paragraphs.length === 1 && nodes[0] === paragraphs[0] ? [...nodes[0].childNodes, ...nodes.slice(1)] : nodes;
}

function table(lines, at) {
  const sides = cells(lines[at + 1]).map((cell) => (cell.endsWith(":") && !cell.startsWith(":") ? "right" : ""));
  const row = (line, name, scope = {}) => make("tr", {}, ...cells(line).slice(0, sides.length).map((cell, place) =>
    make(name, { ...scope, ...(sides[place] ? { class: sides[place] } : {}) }, ...inline(cell))));
  const body = make("tbody");
  let end = at + 2;
  for (; end < lines.length && lines[end].trim() && ROW.test(lines[end]); end += 1) body.append(row(lines[end], "td"));
  const made = make("table", {}, make("thead", {}, row(lines[at], "th", { scope: "col" })), body);
  return [make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" }, made), end];
}

function cells(line) {
  return line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

const INLINE = [
  [/^(`+)([\s\S]*?[^`])\1(?!`)/, ([, , code]) => [make("code", {}, code.replace(/^ (.*) $/, "$1"))]],
  [/^(?:\\\([\s\S]+?\\\)|\\\[[\s\S]+?\\\]|\$\$[\s\S]+?\$\$|\$(?![\s\d])[^$\n]*?[^\s$\\]\$(?!\d))/, ([math]) => [make("span", { class: "math" }, math)]],
  [/^\\([!-/:-@[-`{-~])/, ([, character]) => [character]],
  [/^\\\n|^ {2,}\n/, () => [make("br")]],
  [/^!?\[((?:[^[\]\\]|\\.|\[[^[\]]*\])*)\]\(\s*<?([^\s<>()]*(?:\([^\s()]*\)[^\s<>()]*)*)>?(?:\s+"[^"]*")?\s*\)/, ([, text, address], depth) => link(address, inline(text, depth + 1))],
  [/^<?(https?:\/\/[^\s<>]*[^\s<>.,:;!?"')\]*_`])>?/, ([, address]) => link(address, [address])],
  [/^(\*\*|__)(?=\S)([\s\S]*?\S)\1(?!\1[0])/, ([, , text], depth) => [make("strong", {}, ...inline(text, depth + 1))]],
  [/^~~(?=\S)([\s\S]*?\S)~~/, ([, text], depth) => [make("del", {}, ...inline(text, depth + 1))]],
  [/^\*(?=[^\s*])((?:\*\*|[^*])*?[^\s*])\*(?!\*)/, ([, text], depth) => [make("em", {}, ...inline(text, depth + 1))]],
  [/^_(?=[^\s_])([^_]*?[^\s_])_(?![\w_])/, ([, text], depth) => [make("em", {}, ...inline(text, depth + 1))]],
];
const PLAIN = /^[^\\`$[!<*_~\nh ]+|^[\s\S]/;

const LONGEST_INLINE = 10_000; // beyond it a paragraph is shown as it is written

function inline(text, depth = 0) {
  if (text.length > LONGEST_INLINE) return [text];
  const made = [];
  let plain = "";
  for (let at = 0; at < text.length; ) {
    const rest = text.slice(at), isInWord = /\w/.test(text[at - 1] ?? "");
    const matched = depth < DEEPEST ? special(rest, isInWord, depth) : null;
    if (matched) {
      if (plain) made.push(plain);
      plain = "";
      made.push(...matched[0]);
      at += matched[1];
    } else {
      const [taken] = PLAIN.exec(rest);
      plain += taken;
      at += taken.length;
    }
  }
  if (plain) made.push(plain);
  return made;
}

function special(rest, isInWord, depth) {
  if (isInWord && (rest[0] === "_" || rest[0] === "h" || rest[0] === "$")) return null; // snake_case, the middle of a word
  for (const [pattern, nodes] of INLINE) {
    const found = pattern.exec(rest);
    if (found) return [nodes(found, depth), found[0].length];
  }
  return null;
}

function link(address, children) {
  let url = null;
  try {
    url = new URL(address);
  } catch {
    return children; // no whole address: its text alone
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") return children;
  return [make("a", { href: url.href, rel: "noopener noreferrer nofollow", target: "_blank" }, ...children)];
}
