"""The protocol in TypeScript: its types and its two functions, generated from `protocol.py`.

python -m artalk.stream.typescript viewer/src/protocol.ts
"""

import inspect
import sys
from pathlib import Path
from typing import get_args

from artalk.formats.atomic import atomic
from artalk.stream import protocol
from artalk.stream.protocol import Message, Wire, layout

TYPES = {
    **dict.fromkeys(("u8", "u16", "u32", "u64", "f32", "f64"), "number"),
    "bool": "boolean",
    "text": "string",
    "names": "string[]",
    "shares": "Record<string, number>",
    "blob": "Uint8Array",
    "values": "Float32Array",
}

RUNTIME = """
type Field = { name: string; wire: string; options?: readonly string[]; optional?: boolean };

const NUMBERS = Object.fromEntries(
  Object.entries(LAYOUT).map(([kind, [number]]) => [number, kind]),
) as Record<number, Message["kind"]>;

/** The bytes of a message. Throws a RangeError where a value does not fit its field. */
export function encode(message: Message): Uint8Array<ArrayBuffer> {
  const [number, fields] = LAYOUT[message.kind];
  const writer = new Writer();
  writer.number("u8", number);
  for (const field of fields) writer.write(field, (message as unknown as Record<string, unknown>)[field.name]);
  return writer.bytes();
}

/** The message in `buffer`. Throws a RangeError for anything that `encode` would not have written. */
export function decode(buffer: ArrayBuffer): Message {
  const reader = new Reader(buffer);
  const kind = NUMBERS[reader.number("u8")];
  if (kind === undefined) throw new RangeError("unknown message");
  const message: Record<string, unknown> = { kind };
  for (const field of LAYOUT[kind][1]) message[field.name] = reader.read(field);
  if (!reader.done) throw new RangeError(`${kind}: bytes left over`);
  return message as unknown as Message;
}

const SIZES: Record<string, number> = { u8: 1, u16: 2, u32: 4, u64: 8, f32: 4, f64: 8 };

class Writer {
  private out = new Uint8Array(256);
  private at = 0;

  bytes(): Uint8Array<ArrayBuffer> {
    return this.out.slice(0, this.at);
  }

  number(wire: string, value: number): void {
    const place = this.room(SIZES[wire]!);
    if (!Number.isFinite(value)) throw new RangeError("numbers are finite");
    if (wire === "f32") return place.setFloat32(0, value, true);
    if (wire === "f64") return place.setFloat64(0, value, true);
    if (!Number.isSafeInteger(value) || value < 0 || value >= 2 ** Math.min(8 * SIZES[wire]!, 53))
      throw new RangeError(`${value} is no ${wire}`);
    if (wire === "u8") return place.setUint8(0, value);
    if (wire === "u16") return place.setUint16(0, value, true);
    if (wire === "u32") return place.setUint32(0, value, true);
    place.setBigUint64(0, BigInt(value), true);
  }

  write(field: Field, value: unknown): void {
    if (field.optional) {
      this.number("u8", value === null || value === undefined ? 0 : 1);
      if (value === null || value === undefined) return;
    }
    switch (field.wire) {
      case "choice":
        return this.number("u8", field.options!.indexOf(value as string));
      case "bool":
        return this.number("u8", value ? 1 : 0);
      case "text":
        return this.text(value as string);
      case "names":
        this.number("u16", (value as string[]).length);
        return (value as string[]).forEach((text) => this.text(text));
      case "shares": {
        const shares = Object.entries(value as Record<string, number>);
        this.number("u8", shares.length);
        return shares.forEach(([name, share]) => (this.text(name), this.number("f32", share)));
      }
      case "blob":
        return this.raw(value as Uint8Array);
      case "values": {
        this.room((4 - (this.at % 4)) % 4);
        const values = value as Float32Array;
        return this.raw(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      }
      default:
        this.number(field.wire, value as number);
    }
  }

  private text(text: string): void {
    const encoded = new TextEncoder().encode(text);
    this.number("u16", encoded.length);
    this.raw(encoded);
  }

  private raw(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.out.set(bytes, this.at - bytes.length);
  }

  private room(size: number): DataView {
    if (this.at + size > this.out.length) {
      const wider = new Uint8Array(Math.max(2 * this.out.length, this.at + size));
      wider.set(this.out);
      this.out = wider;
    }
    this.at += size;
    return new DataView(this.out.buffer, this.at - size, size);
  }
}

class Reader {
  private at = 0;
  private buffer: ArrayBuffer;
  private view: DataView;

  constructor(buffer: ArrayBuffer) {
    this.buffer = buffer;
    this.view = new DataView(buffer);
  }

  get done(): boolean {
    return this.at === this.buffer.byteLength;
  }

  number(wire: string): number {
    const at = this.take(SIZES[wire]!);
    switch (wire) {
      case "u8":
        return this.view.getUint8(at);
      case "u16":
        return this.view.getUint16(at, true);
      case "u32":
        return this.view.getUint32(at, true);
      case "u64":
        return Number(this.view.getBigUint64(at, true));
      case "f32":
        return this.view.getFloat32(at, true);
      default:
        return this.view.getFloat64(at, true);
    }
  }

  read(field: Field): unknown {
    if (field.optional && this.number("u8") === 0) return null;
    switch (field.wire) {
      case "choice": {
        const option = field.options![this.number("u8")];
        if (option === undefined) throw new RangeError(`${field.name}: no such choice`);
        return option;
      }
      case "bool":
        return this.number("u8") === 1;
      case "text":
        return this.text();
      case "names":
        return Array.from({ length: this.number("u16") }, () => this.text());
      case "shares":
        return Object.fromEntries(Array.from({ length: this.number("u8") }, () => [this.text(), this.number("f32")]));
      case "blob": {
        const count = this.left;
        return new Uint8Array(this.buffer, this.take(count), count);
      }
      case "values": {
        this.take((4 - (this.at % 4)) % 4);
        const count = this.left / 4;
        if (!Number.isInteger(count)) throw new RangeError("values are 4 bytes each");
        return new Float32Array(this.buffer, this.take(4 * count), count);
      }
      default:
        return this.number(field.wire);
    }
  }

  private get left(): number {
    return this.buffer.byteLength - this.at;
  }

  private text(): string {
    const length = this.number("u16");
    return new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(this.buffer, this.take(length), length));
  }

  private take(count: number): number {
    if (count > this.left) throw new RangeError("the message is too short");
    this.at += count;
    return this.at - count;
  }
}
"""


def source() -> str:
    """The whole of `protocol.ts`."""
    client, server = get_args(protocol.FromClient), get_args(protocol.FromServer)
    parts = [
        "// Generated from src/artalk/stream/protocol.py by `python -m artalk.stream.typescript`: change it there.",
        f"export const VERSION = {protocol.VERSION};",
        *(_interface(kind) for kind in (*client, *server)),
        _union("FromClient", client),
        _union("FromServer", server),
        "export type Message = FromClient | FromServer;",
        _layout(),
        RUNTIME.strip(),
    ]
    return "\n\n".join(parts) + "\n"


def camel(name: str) -> str:
    """`sample_rate` as TypeScript spells it."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _interface(kind: type[Message]) -> str:
    lines = [f"  {camel(name)}: {_type(wire)};" for name, wire in layout(kind).items()]
    words = inspect.cleandoc(kind.__doc__ or "").replace("\n", "\n * ").replace(" * \n", " *\n")
    tag = f'  kind: "{_tag(kind)}";'
    return f"/**\n * {words}\n */\n" + "\n".join([f"export interface {kind.__name__} {{", tag, *lines, "}"])


def _type(wire: Wire) -> str:
    name = " | ".join(f'"{option}"' for option in wire.options) or TYPES[wire.name]
    return f"{name} | null" if wire.optional else name


def _union(name: str, kinds: tuple[type[Message], ...]) -> str:
    return f"export type {name} =\n" + "\n".join(f"  | {kind.__name__}" for kind in kinds) + ";"


def _layout() -> str:
    rows = [
        f"  {_tag(kind)}: [{number}, [{', '.join(_field(name, wire) for name, wire in layout(kind).items())}]],"
        for number, kind in protocol.MESSAGES.items()
    ]
    head = 'const LAYOUT: Record<Message["kind"], readonly [number, readonly Field[]]> = {'
    return "\n".join(["// prettier-ignore", head, *rows, "};"])


def _field(name: str, wire: Wire) -> str:
    parts = [f'name: "{camel(name)}"', f'wire: "{wire.name}"']
    if wire.options:
        parts.append("options: [" + ", ".join(f'"{option}"' for option in wire.options) + "]")
    if wire.optional:
        parts.append("optional: true")
    return "{ " + ", ".join(parts) + " }"


def _tag(kind: type[Message]) -> str:
    return kind.__name__.lower()


def main(path: str) -> None:
    """Write `protocol.ts`."""
    with atomic(path) as temporary:
        Path(temporary).write_text(source(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(sys.argv[1])
