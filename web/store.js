// What is kept over a reload, in localStorage: bounded, and never in the way where there is none.

const PREFIX = "tokenfall.";
const MAX_MESSAGES = 200;
const MAX_CHARS = 2_000_000;

/** What was kept under `name`, or `otherwise`. */
export function load(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Keeps `value`, or nothing if it is null. False if that was not possible. */
export function save(name, value) {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

/** The latest messages of a conversation that are within the limits, at least its last two; it begins with a question. */
export function bounded(messages) {
  let [kept, chars] = [messages.length, 0];
  while (kept > 0 && messages.length - kept < MAX_MESSAGES) {
    chars += JSON.stringify(messages[kept - 1]).length;
    if (chars > MAX_CHARS && messages.length - kept >= 2) break;
    kept -= 1;
  }
  const latest = messages.slice(kept);
  const first = latest.findIndex(({ role }) => role === "user");
  return kept === 0 ? latest : latest.slice(Math.max(first, 0));
}
