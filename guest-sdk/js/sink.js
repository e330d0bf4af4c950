// Where an adapter writes: files, and what goes beside them.

import { isObject } from "./config.js";
import { plain } from "./errors.js";
import { encodeUtf8 } from "./utf8.js";

export class Sink {
  #chunks = [];
  #texts = [];
  #losses = new Map();
  #sideLines = [];

  beginFile(name, mediaType) {
    this.#flush();
    this.#chunks.push({ tag: "begin-file", val: { name: plain(name), mediaType: plain(mediaType) } });
  }

  write(data) {
    if (typeof data === "string") {
      this.#texts.push(data);
    } else if (data instanceof Uint8Array) {
      this.#flush();
      this.#chunks.push({ tag: "bytes", val: data.slice() });
    } else {
      throw new TypeError("out.write takes a text or a Uint8Array");
    }
  }

  loss(field, reason) {
    const key = JSON.stringify([field, reason]);
    const loss = this.#losses.get(key) ?? { field: plain(field), reason: plain(reason), rows: 0 };
    loss.rows += 1;
    this.#losses.set(key, loss);
  }

  idMap(entry) {
    this.#sideLine("id-map", entry);
  }

  action(entry) {
    this.#sideLine("actions", entry);
  }

  static encoded(sink, counts) {
    sink.#flush();
    return { chunks: sink.#chunks, losses: [...sink.#losses.values()], sideLines: sink.#sideLines, ...counts };
  }

  #sideLine(file, entry) {
    if (!isObject(entry)) {
      throw new TypeError("a line beside the output is one object");
    }
    this.#sideLines.push({ file, line: plain(JSON.stringify(entry)) });
  }

  #flush() {
    const text = this.#texts.join("");
    this.#texts = [];
    if (text !== "") {
      this.#chunks.push({ tag: "bytes", val: encodeUtf8(text) });
    }
  }
}
