/* The page's texts. The English text is the key; the other languages come from Django's catalogues. */

export const languages = JSON.parse(document.getElementById("languages").textContent);

// The order in which catalogues list the forms of a plural.
const FORMS = ["zero", "one", "two", "few", "many", "other"];
const ENGLISH = "en";
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/;

let catalog = {};
let plurals = new Intl.PluralRules(ENGLISH);
// For Intl: the phone's own variant of the language, if it has one.
export let locale = ENGLISH;
export let language = "";

/* Use a language. Keeps the present one if its texts cannot be loaded. */
export async function speak(code) {
  if (code === language) return;
  const texts = code === ENGLISH ? {} : await load(languages[code].texts);
  if (!texts) return;
  catalog = texts;
  language = code;
  locale = navigator.languages.find((tag) => primary(tag) === code) ?? `${code}-US`;
  plurals = new Intl.PluralRules(code);
  document.documentElement.lang = code;
  document.title = gettext("Bay Wheels crew");
  document.querySelector("link[rel=manifest]").href = languages[code].manifest;
}

/* The first language of the browser that the page has. */
export function languageOfBrowser() {
  return navigator.languages.map(primary).find((code) => languages[code]) ?? ENGLISH;
}

function primary(tag) {
  return tag.split("-")[0].toLowerCase();
}

async function load(address) {
  try {
    const response = await fetch(address);
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

export function gettext(text, values) {
  return fill(catalog[text] ?? text, values);
}

/* `values.n` is the number that decides between the forms. */
export function ngettext(one, many, values) {
  const forms = catalog[one];
  if (!forms) return fill(values.n === 1 ? one : many, values);
  const used = FORMS.filter((form) => plurals.resolvedOptions().pluralCategories.includes(form));
  const form = Math.min(used.indexOf(plurals.select(values.n)), forms.length - 1);
  return fill(forms[form], values);
}

function fill(text, values) {
  return values ? text.replace(/%\((\w+)\)s/g, (_, name) => isolate(values[name])) : text;
}

/* Keeps a name in a right-to-left script from reordering the text around it. */
export function isolate(value) {
  return RIGHT_TO_LEFT.test(value) ? `\u2068${value}\u2069` : value;
}
