/** Shapes under other names, found by the library's table of spellings. */

import type { Facts } from "./facts";

/** One of a mesh's own names, and the ARKit shapes whose mean it shows. */
export interface Mix {
  name: string;
  from: string[];
}

/** What `names` have of ARKit's shapes; of several spellings of one shape those nearest to ARKit's own. */
export function matched(names: readonly string[], facts: Facts): Mix[] {
  const candidates = new Map<string, [number, string][]>();
  for (const name of names)
    for (const [rank, shape] of shapes(name, facts)) {
      if (!candidates.has(shape)) candidates.set(shape, []);
      candidates.get(shape)!.push([rank, name]);
    }
  const mixes = new Map<string, string[]>();
  for (const [shape, found] of candidates) {
    const best = Math.min(...found.map(([rank]) => rank));
    for (const [rank, name] of found) if (rank === best) mixes.set(name, [...(mixes.get(name) ?? []), shape]);
  }
  return [...mixes].map(([name, from]) => ({ name, from }));
}

/** The shapes that `name` may stand for; what comes before may be the prefix of a mesh or of an exporter. */
function shapes(name: string, facts: Facts): [number, string][] {
  const plain = name.replace(/\.\d{3}$/, "");
  const parts = plain.split(/[^0-9A-Za-z]+/).filter(Boolean);
  for (let skipped = 0; skipped < parts.length; skipped++) {
    const key = parts.slice(skipped).join("").toLowerCase();
    const found = Object.hasOwn(facts.spellings, key) ? facts.spellings[key] : undefined;
    if (found) return found.map(([rank, shape]) => [rank + (skipped > 0 ? 1 : 0), shape]);
  }
  return [];
}
