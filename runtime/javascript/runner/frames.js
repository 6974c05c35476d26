// Messages between Python and Node over pipes. Each is the length of its head (4 bytes, little-endian), the head as
// JSON, and as many bytes as the head's `bytes` says. What they mean is in main.js.

const LENGTH = 4;

/**
 * Yield each message of a stream until it ends.
 * @param {AsyncIterable<Uint8Array>} stream
 * @returns {AsyncGenerator<{ head: any, bytes: Uint8Array }>}
 */
export async function* messages(stream) {
  const take = reader(stream[Symbol.asyncIterator]());
  for (;;) {
    const length = await take(LENGTH);
    if (length === null) return;
    const text = await take(new DataView(length.buffer).getUint32(0, true));
    const head = text && JSON.parse(new TextDecoder().decode(text));
    const bytes = head && (await take(head.bytes));
    if (!bytes) return;
    yield { head, bytes };
  }
}

/**
 * Return what takes so many bytes off a stream, in memory of their own; null at its end.
 * @param {AsyncIterator<Uint8Array>} chunks
 */
function reader(chunks) {
  /** @type {Uint8Array} */
  let rest = new Uint8Array(0);
  return async (/** @type {number} */ count) => {
    const taken = new Uint8Array(count);
    for (let filled = 0; filled < count;) {
      if (rest.length === 0) {
        const next = await chunks.next();
        if (next.done) return null;
        rest = next.value;
      }
      const part = rest.subarray(0, count - filled);
      taken.set(part, filled);
      filled += part.length;
      rest = rest.subarray(part.length);
    }
    return taken;
  };
}

/**
 * Write one message, and wait until it has been taken.
 * @param {NodeJS.WritableStream} stream
 * @param {object} head
 * @param {Uint8Array} [bytes]
 */
export async function send(stream, head, bytes = new Uint8Array(0)) {
  const text = new TextEncoder().encode(JSON.stringify({ ...head, bytes: bytes.length }));
  const length = new Uint8Array(LENGTH);
  new DataView(length.buffer).setUint32(0, text.length, true);
  for (const part of [length, text, bytes]) {
    await /** @type {Promise<void>} */ (
      new Promise((resolve, reject) => stream.write(part, (error) => (error ? reject(error) : resolve())))
    );
  }
}
