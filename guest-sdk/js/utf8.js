// UTF-8. The engine has no TextEncoder, and a loop over bytes in JavaScript costs 50 ns a byte.
// Its native functions move whole columns: base64 between bytes and "binary" strings (one
// character a byte), `escape` and `decodeURIComponent` between those and text.

/** Whether the engine converts base64; Node 20, where the SDK is tested, does not. */
const HAS_BASE64 = Uint8Array.fromBase64 !== undefined;
const CHUNK_CHARS = 8192;
const WORD_BYTES = 4;

export function isAscii(bytes) {
  let seen = 0;
  let index = 0;
  if (bytes.byteOffset % WORD_BYTES === 0) {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / WORD_BYTES));
    const end = words.length - 7;
    let word = 0;
    for (; word < end; word += 8) {
      seen |=
        words[word] | words[word + 1] | words[word + 2] | words[word + 3] |
        words[word + 4] | words[word + 5] | words[word + 6] | words[word + 7];
    }
    index = word * WORD_BYTES;
  }
  for (; index < bytes.length; index += 1) {
    seen |= bytes[index];
  }
  return (seen & 0x80808080) === 0;
}

/** One character a byte. */
export function binaryOf(bytes) {
  if (HAS_BASE64) {
    return atob(bytes.toBase64());
  }
  let binary = "";
  for (let from = 0; from < bytes.length; from += CHUNK_CHARS) {
    binary += String.fromCharCode.apply(null, bytes.subarray(from, from + CHUNK_CHARS));
  }
  return binary;
}

/** The bytes of a binary string; nothing where a character is none. */
export function bytesOf(binary) {
  if (HAS_BASE64) {
    let base64;
    try {
      base64 = btoa(binary);
    } catch {
      return undefined;
    }
    return Uint8Array.fromBase64(base64);
  }
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index += 1) {
    const unit = binary.charCodeAt(index);
    if (unit > 0xff) {
      return undefined;
    }
    bytes[index] = unit;
  }
  return bytes;
}

export function asciiBytesOf(text) {
  const bytes = bytesOf(text);
  return bytes !== undefined && isAscii(bytes) ? bytes : undefined;
}

/** UTF-8 as a binary string. */
export function utf8BinaryOf(text) {
  return unescape(encodeURIComponent(text.toWellFormed()));
}

export function textOfBinary(binary) {
  return decodeURIComponent(escape(binary));
}

/** UTF-8 of a text; a lone surrogate becomes U+FFFD. */
export function encodeUtf8(text) {
  return asciiBytesOf(text) ?? bytesOf(utf8BinaryOf(text));
}

/** The text of UTF-8 bytes. */
export function decodeUtf8(bytes) {
  const binary = binaryOf(bytes);
  if (isAscii(bytes)) {
    return binary;
  }
  try {
    return textOfBinary(binary);
  } catch {
    throw new RangeError("the bytes are not UTF-8");
  }
}
