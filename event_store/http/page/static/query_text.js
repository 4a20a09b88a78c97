// What the page does to the text of a query: split it, and add conditions to it. Pure. docs/query-language.md

const QUOTED = String.raw`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'` + "|`[^`]+`";
const REGEX = String.raw`(?<![^\s(])\/(?:[^\/\\\n]|\\.)+\/i?(?=[\s()|]|$)`;
const TOKEN = new RegExp(`${QUOTED}|${REGEX}|` + String.raw`\|\||\||[()]|[^\s()|"'` + "`]+|\\s+|.", "gsu");
const MOMENT = String.raw`(?:now|today|yesterday|\d{4}-\d[^\s|"']*(?:\s\d\d:[^\s|"']*)?|\d{9,}[\d.]*` +
  String.raw`|\d\d?:\d\d[^\s|"']*|-?\d+(?:\.\d+)?[a-zµ][^\s|"']*(?:\s+ago)?|\d+\s+[a-z]+\s+ago)`;
const SPAN = String.raw`(?:last\s+[\d.]+(?:\s*[a-zµ]+(?:[\d.]+[a-zµ]+)*)?` +
  String.raw`|(?:from|since)\s+${MOMENT}(?:\s+(?:to|until)\s+${MOMENT})?|(?:to|until)\s+${MOMENT})`;
const SPAN_FIRST = new RegExp(String.raw`^\s*(${SPAN})(?:\s+|$)`, "iu");
const SPAN_LAST = new RegExp(String.raw`(?:^|\s)(${SPAN})\s*$`, "iu");
const PLAIN_NAME = /^[\p{L}_][\p{L}\p{N}_.\-@/$]*$/u;
const KEYWORDS = /^(and|or|not|in|contains|has|matches|last|from|since|to|until)$/i;
const LONGEST = 200;

/** Split a query into its filter, its time range as written (or "") and its stages, each trimmed. */
export function parts(text) {
  let at = text.length;
  for (const token of text.matchAll(TOKEN)) {
    if (token[0] === "|") {
      at = token.index;
      break;
    }
  }
  const head = text.slice(0, at);
  const [before, after] = [SPAN_FIRST.exec(head), SPAN_LAST.exec(head)];
  const filter = before ? head.slice(before[0].length) : after ? head.slice(0, after.index) : head;
  return { filter: filter.trim(), span: (before ?? after)?.[1] ?? "", stages: text.slice(at).trim() };
}

/** Put together what `parts` took apart. */
export function joined({ filter, span, stages }) {
  return [filter, span, stages].filter((part) => part).join(" ");
}

/** Say whether a query can hold a condition on this field and value. */
export function canFilter(field, value) {
  const text = String(value ?? "");
  return !field.includes("`") && !/\0|\p{Surrogate}/u.test(text) && (value === null || typeof value !== "object") &&
    (text === "" || firstLine(text) !== "");
}

/** Add a condition to a query, for a value or against it; one that says the contrary goes. A null value is no value. */
export function withCondition(text, field, value, include) {
  const split = parts(text);
  const [wanted, contrary] = conditions(field, value, include);
  const alternatives = [...split.filter.matchAll(TOKEN)].some(([token]) => token === "||" || /^or$/i.test(token));
  if (!alternatives) {
    for (const there of [wanted, contrary].sort((one, other) => other.length - one.length)) {
      const at = placeOf(split.filter, there);
      if (at < 0) continue;
      split.filter = split.filter.slice(0, at) + wanted + split.filter.slice(at + there.length);
      return joined(split);
    }
  }
  const filter = alternatives ? `(${split.filter})` : split.filter;
  return joined({ ...split, filter: filter ? `${filter} ${wanted}` : wanted });
}

function conditions(field, value, include) {
  const name = PLAIN_NAME.test(field) && !KEYWORDS.test(field) ? field : `\`${field}\``;
  const holds = value === null ? `${name}:*` : name + comparison(value);
  const both = [holds, `not ${holds}`];
  return include === (value !== null) ? both : both.reverse();
}

function comparison(value) {
  if (typeof value === "number") return ` == ${value}`;
  const line = firstLine(value);
  return line === value ? ` == ${quoted(value)}` : ` contains ${quoted(line)}`;
}

/** Return the part of a value that a query can name: its first line that is not blank, if it is not too long. */
function firstLine(value) {
  const text = String(value);
  if (text.length <= LONGEST && !/[\r\n]/.test(text)) return text;
  const line = text.split(/[\r\n]/).find((each) => each.trim()) ?? "";
  return [...line].slice(0, LONGEST).join("");
}

const quoted = (text) => `"${text.replace(/[\\"]/g, "\\$&")}"`;

function placeOf(filter, term) {
  for (let at = filter.indexOf(term); at >= 0; at = filter.indexOf(term, at + 1)) {
    const end = at + term.length;
    if ((at === 0 || /[\s(]/.test(filter[at - 1])) && (end === filter.length || /[\s)]/.test(filter[end]))) return at;
  }
  return -1;
}
