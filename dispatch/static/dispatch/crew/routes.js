/* Screens have addresses in the fragment, such as #done/12, so that the phone's back button works. */

// No vowels, so that codes spell no words; none of these letters look alike.
const CODE = /^[BCDFGHJKLMNPQRSTVWXZ]{8}$/;
// Their names are the kinds of reports.
const FORMS = ["done", "give_back", "problem"];

export function current() {
  const [name, id] = location.hash.slice(1).split("/");
  return { name, id: id ? Number(id) : null };
}

export function isForm(name) {
  return FORMS.includes(name);
}

export function address(name, id) {
  return `#${name}${id ? `/${id}` : ""}`;
}

export function go(name, id) {
  location.hash = address(name, id);
}

/* Leaves a finished form: the back button does not lead to it again. */
export function goHome() {
  history.replaceState(null, "", "#");
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/* The code of an enrolment link, or null. Takes it out of the address bar and the history. */
export function takeCode() {
  const code = readCode(location.hash);
  if (code) history.replaceState(null, "", "#join");
  return code;
}

/* The code in its usual form, whatever its case and hyphens; null if the text is none. */
export function readCode(text) {
  const letters = text.toUpperCase().replace(/[^A-Z]/g, "");
  return CODE.test(letters) ? `${letters.slice(0, 4)}-${letters.slice(4)}` : null;
}
