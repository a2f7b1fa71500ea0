/** @file HTML and SVG text: whatever is put into a template is escaped unless it is markup already. */

/** Text that is valid markup. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** What a template accepts: null and false print nothing. */
export type Content = Markup | string | number | null | false | readonly Content[];

/** Template tag for HTML and SVG. */
export function markup(parts: TemplateStringsArray, ...contents: readonly Content[]): Markup {
  return new Markup(parts.reduce((text, part, i) => text + render(contents[i - 1] ?? null) + part));
}

/** Text with the five characters escaped that mean something in markup. */
export function escapeText(text: string): string {
  const names: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replace(/[&<>"']/g, (character) => names[character] ?? character);
}

function render(content: Content): string {
  if (content === null || content === false) return "";
  if (content instanceof Markup) return content.text;
  if (typeof content === "object") return content.map(render).join("");
  return escapeText(String(content));
}

/** Parts with a separator between them. */
export function joined(parts: readonly Content[], separator = ", "): Content {
  return parts.map((part, i) => [i > 0 && separator, part]);
}
