// The little there is instead of a framework. Text goes in as text: nothing of the fleet's is ever read as markup.

export const $ = (id) => document.getElementById(id);

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function table(target, columns, rows, empty) {
  const head = h("thead", {}, h("tr", {}, columns.map((column) => h("th", { class: column.class, scope: "col" }, column.title))));
  const body = rows.length
    ? rows.map((row) => h("tr", {}, columns.map((column) => cell(column, row))))
    : [h("tr", { class: "empty" }, h("td", { colspan: columns.length }, empty))];
  target.replaceChildren(head, h("tbody", {}, body));
}

function cell(column, row) {
  const tone = column.tone ? column.tone(row) : "";
  return h("td", { class: [column.class, tone].filter(Boolean).join(" ") || null, title: column.hint?.(row) }, column.text(row));
}
