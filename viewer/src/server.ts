/** The server that brought this page: its HTTP answers and its live socket. */

import { forNow } from "./kept";
import { decode, encode, VERSION } from "./protocol";
import type { FromClient, FromServer, Welcome } from "./protocol";

/** How a performance is wished for. */
export interface Wishes {
  seed: number;
  style: Record<string, number>;
  gains: Record<string, number>;
}

export interface Info {
  version: string;
  models: string[];
  /** Of each model. */
  styles: Record<string, string[]>;
  formats: string[];
  gains: string[];
  limits: Record<string, number>;
}

/** The server wants a token that it has not been given. */
export class WantsToken extends Error {}

/** Faults of a server that was upgraded under an open page, and may not even read a `Hello` of the older protocol. */
export const OUTGROWN = ["version", "bad_message"];

const KEPT = "artalk.token";

/** The channels that the page knows, by the name that a `Welcome` calls them. */
const SPACE = "arkit";

export const token = {
  get: (): string => forNow.get(KEPT) ?? "",
  /** Tokens are visible ASCII; what is none, as a quotation mark from a text, fits nowhere and is asked for again. */
  set: (value: string): void => forNow.set(KEPT, /^[!-~]+$/.test(value.trim()) ? value.trim() : "?"),
};

const headers = (): Record<string, string> => (token.get() ? { authorization: `Bearer ${token.get()}` } : {});

async function ask(path: string, options: RequestInit = {}): Promise<Response> {
  const answer = await reached(path, { ...options, headers: { ...headers(), ...options.headers } });
  if (answer.ok) return answer;
  const fault = (await answer.json().catch(() => ({}))) as { code?: string; message?: string };
  const message = fault.message ?? `the server answered ${answer.status}`;
  throw fault.code === "wrong_token" ? new WantsToken(message) : new Error(message);
}

async function reached(path: string, options: RequestInit): Promise<Response> {
  try {
    return await fetch(path, options);
  } catch {
    throw new Error("the server does not answer");
  }
}

/** One of the page's own files. Throws an `Error` with a sentence where it cannot be had. */
export async function file(path: string): Promise<Blob> {
  try {
    return await (await ask(path)).blob();
  } catch (error) {
    throw new Error(`${path} could not be loaded: ${(error as Error).message}.`);
  }
}

export const info = async (): Promise<Info> => (await (await ask("v1/info")).json()) as Info;

/** Have a sound made into a file; `progress` gets the share that is done. */
export async function animate(
  sound: Blob,
  format: string,
  wishes: Wishes,
  progress: (share: number) => void,
): Promise<Blob> {
  const pairs = (shares: Record<string, number>): string =>
    Object.entries(shares)
      .map(([name, share]) => `${name}:${share}`)
      .join(",");
  const query = new URLSearchParams({ format, seed: String(wishes.seed), gains: pairs(wishes.gains) });
  if (Object.keys(wishes.style).length) query.set("style", pairs(wishes.style));
  const answer = await ask(`v1/animate?${query}`, {
    method: "POST",
    body: sound,
    headers: { accept: "text/event-stream" },
  });
  for await (const { event, data } of events(answer)) {
    if (event === "progress") progress((data.done as number) / Math.max(data.total as number, 1));
    if (event === "error") throw new Error(data.message as string);
    if (event === "result") return await (await ask((data.url as string).slice(1))).blob();
  }
  throw new Error("the server went away in the middle");
}

async function* events(answer: Response): AsyncGenerator<{ event: string; data: Record<string, unknown> }> {
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop()!;
    for (const part of parts) {
      const field = (name: string): string => part.match(new RegExp(`^${name}: (.*)$`, "m"))?.[1] ?? "";
      yield { event: field("event"), data: JSON.parse(field("data")) as Record<string, unknown> };
    }
  }
}

/** Why this page cannot show what a model makes; "" where it can. */
export function unfit({ model, space }: Welcome): string {
  return space === SPACE ? "" : `${model} makes numbers for ${space}, and this page shows ${SPACE} alone: let the server run another model.`;
}

/** One live socket, from `Hello` on. */
export class Session {
  private readonly socket: WebSocket;
  private left = false;
  private timer = 0;

  /**
   * `wishes` is asked when the socket is open, as they may change until then. `heard` gets each message, `ended` is
   * called once, unless this side closed.
   */
  constructor(
    rate: number,
    pace: "live" | "free",
    wishes: () => Wishes,
    heard: (message: FromServer) => void,
    ended: () => void,
  ) {
    const address = new URL("v1/live", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    address.hash = "";
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () =>
      this.send({
        kind: "hello",
        version: VERSION,
        sampleRate: rate,
        encoding: "pcm16",
        pace,
        model: "",
        token: token.get(),
        resume: new Uint8Array(),
        ...wishes(),
      });
    this.socket.onmessage = ({ data }) => !this.left && heard(decode(data as ArrayBuffer) as FromServer);
    this.socket.onclose = () => !this.left && ended();
  }

  get open(): boolean {
    return this.socket.readyState === WebSocket.OPEN;
  }

  /** Bytes that wait to be sent. */
  get waiting(): number {
    return this.socket.bufferedAmount;
  }

  send(message: FromClient): void {
    if (this.open) this.socket.send(encode(message));
  }

  sound(samples: Int16Array): void {
    this.send({ kind: "sound", data: new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength) });
  }

  ping(): void {
    this.send({ kind: "ping", time: performance.now() / 1000 });
  }

  /** Ping each so many seconds, until this side closes: a server ends sessions of which it hears nothing for a minute. */
  keepAlive(seconds: number): void {
    this.timer = window.setInterval(() => this.ping(), 1000 * seconds);
  }

  close(): void {
    this.left = true;
    clearInterval(this.timer);
    this.socket.close();
  }
}
