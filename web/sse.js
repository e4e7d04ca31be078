// Server-sent events (WHATWG HTML, section 9.2), from the bytes of a fetched body. It knows no page.

const MAX_LINE_CHARS = 4 * 1024 * 1024;

/**
 * The events of a body, `{ data, type, id }`, and what else may stand between them: comments, `{ comment }`,
 * and the opening block of a stream that can be followed, `{ retry }` in milliseconds. What is unfinished at its
 * end is none.
 */
export async function* readEvents(body) {
  let [data, type, id] = [[], "", ""];
  for await (const line of readLines(body.getReader())) {
    const [, field, value] = /^([^:]*)(?:: ?)?([^]*)$/.exec(line);
    if (line === "") {
      if (data.length > 0) yield { data: data.join("\n"), type, id };
      [data, type, id] = [[], "", ""];
    } else if (field === "") yield { comment: line.slice(1) };
    else if (field === "data") data.push(value);
    else if (field === "event") type = value;
    else if (field === "id" && !value.includes("\0")) id = value;
    else if (field === "retry" && /^\d+$/.test(value)) yield { retry: Number(value) };
  }
}

/** The finished lines of a body. They end at CRLF, LF or CR, and bytes may be split anywhere. */
async function* readLines(reader) {
  const decoder = new TextDecoder();
  let [rest, endedInCr] = ["", false];
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    let text = decoder.decode(read.value, { stream: true });
    if (text === "") continue;
    // The LF of a CRLF whose CR came with an earlier read ends no second line.
    if (endedInCr && text[0] === "\n") text = text.slice(1);
    endedInCr = text.endsWith("\r");
    const lines = (rest + text).split(/\r\n|\r|\n/);
    rest = lines.pop();
    if (rest.length > MAX_LINE_CHARS) throw new Error("an event is too large to show");
    yield* lines;
  }
}
