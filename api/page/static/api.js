// Calls to the API that served this page. The header says that the page sends them: the session's cookie is worth nothing without
// it, and no other site can send it.

const OWN = { "X-Duckconf-Page": "1" };

/** A refusal of the API, with its words. */
export class Refused extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

/** The decoded answer of one call. Throws Refused, or TypeError when nobody answers. */
export async function call(method, path, body) {
  const headers = { ...OWN, Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }) };
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, told.detail || `HTTP ${answer.status}`);
  return told;
}

/** Exchanges the operator's token for a session, whose cookie no script can read. */
export async function openSession(token) {
  const headers = { ...OWN, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch("/session", { method: "POST", headers });
  if (!answer.ok) throw new Refused(answer.status, (await answer.json().catch(() => ({}))).detail || "refused");
  return answer.json();
}

/** Opens the stream of events and reads it until it ends: `take(kind, data)` for each event, `hear()` for each sign of life. */
export async function readStream(known, signal, take, hear) {
  const headers = { ...OWN, Accept: "text/event-stream", ...(known.id ? { "Last-Event-ID": known.id } : {}) };
  const answer = await fetch("/events", { headers, signal, cache: "no-store" });
  if (!answer.ok) throw new Refused(answer.status, (await answer.json().catch(() => ({}))).detail || `HTTP ${answer.status}`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    hear();
    const pieces = (rest + value).split("\n\n");
    rest = pieces.pop();
    for (const piece of pieces) takePiece(piece, known, take);
  }
}

function takePiece(piece, known, take) {
  const fields = {};
  for (const line of piece.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
  }
  if (fields.data === undefined) return;
  take(fields.event, JSON.parse(fields.data));
  if (fields.id) known.id = fields.id;
}
