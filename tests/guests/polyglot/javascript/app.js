// The polyglot guest in JavaScript: one object for each exported interface.

import { read } from 'capstan:host/files-read@0.1.0';

function countTo(rounds) {
  let done = 0n;
  while (done < rounds) done += 1n;
  return done;
}

function reversed(text) {
  return [...text].reverse().join('');
}

// What `work` gives, or why it gives nothing, as a result of WIT.
function tried(work) {
  try {
    return { tag: 'ok', val: work() };
  } catch (error) {
    return { tag: 'err', val: String(error) };
  }
}

export const compute = {
  summarise(items) {
    const missing = items.find((item) => item.count === 0);
    if (missing) throw { tag: 'none-of', val: missing.name };
    const total = items.reduce((sum, item) => sum + BigInt(item.price) * BigInt(item.count), 0n);
    if (total > BigInt(Number.MAX_SAFE_INTEGER)) throw { tag: 'too-much' };
    const tags = new Map();
    for (const tag of items.flatMap((item) => item.tags)) tags.set(tag, (tags.get(tag) ?? 0) + 1);
    const dearest = items.reduce((best, item) => (best && best.price >= item.price ? best : item), undefined);
    return {
      total,
      names: items.map((item) => reversed(item.name)),
      tags: [...tags].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
      dearest: dearest?.name,
    };
  },
  spin: countTo,
  spinForLong: countTo,
};

export const surroundings = {
  look() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return {
      environment: Object.keys(globalThis.process?.env ?? {}),
      arguments: globalThis.process?.argv?.slice(2) ?? [],
      files: tried(() => globalThis.process.getBuiltinModule('fs').readdirSync('/')),
      file: tried(() => globalThis.process.getBuiltinModule('fs').readFileSync('/etc/passwd', 'utf8')),
      socket: tried(() => String(new WebSocket('ws://127.0.0.1:9'))),
      now: BigInt(Date.now()),
      random: [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(''),
    };
  },
  print(text) {
    console.log(text);
    console.error(reversed(text));
  },
  flood(bytes) {
    console.log('x'.repeat(bytes));
  },
  async wait(milliseconds) {
    const start = performance.now();
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    return BigInt(Math.floor(performance.now() - start));
  },
};

export const files = {
  read(path) {
    try {
      return new TextDecoder().decode(read('workspace', path));
    } catch (error) {
      throw error.payload ? `${error.payload.tag}: ${error.payload.val ?? ''}` : String(error);
    }
  },
};
