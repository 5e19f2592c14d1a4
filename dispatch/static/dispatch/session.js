/* Warns a minute before the session ends, renews it while its user types or clicks, and leaves the
   page when it has ended. */
"use strict";

{
  const WARNING = 60;
  const RENEWAL = 60;
  // Longer timers would fire at once.
  const LONGEST_WAIT = 1_000_000;
  const dialog = document.getElementById("session");
  const form = dialog.querySelector("form");
  let endsAt = 0;
  let renewedAt = Date.now();
  let timer = 0;

  const left = () => Math.ceil((endsAt - Date.now()) / 1000);

  /* The seconds that the server gives the session; null: it has ended. */
  const ask = async (options) => {
    const response = await fetch(form.action, { redirect: "manual", ...options });
    if (response.type === "opaqueredirect" || response.status === 403) return null;
    if (!response.ok) throw new Error(response.statusText);
    return (await response.json()).seconds;
  };

  const check = async (options) => {
    let seconds;
    try {
      seconds = await ask(options);
    } catch {
      // The server is out of reach.
      timer = setTimeout(check, 10_000);
      return;
    }
    if (seconds === null) leave();
    else expect(seconds);
  };

  const expect = (seconds) => {
    clearTimeout(timer);
    endsAt = Date.now() + seconds * 1000;
    if (seconds > WARNING) {
      dialog.close();
      timer = setTimeout(check, Math.min(seconds - WARNING, LONGEST_WAIT) * 1000);
    } else {
      if (!dialog.open) dialog.showModal();
      countDown();
    }
  };

  /* Other tabs may renew the session meanwhile. */
  const countDown = () => {
    dialog.querySelector("strong").textContent = Math.max(left(), 0);
    const next = left() <= 0 || left() % 10 === 0 ? check : countDown;
    timer = setTimeout(next, 1000);
  };

  const renew = () => {
    clearTimeout(timer);
    renewedAt = Date.now();
    check({ method: "POST", body: new FormData(form) });
  };

  const noteUse = () => {
    if (!dialog.open && Date.now() - renewedAt >= RENEWAL * 1000) renew();
  };

  /* Unsaved text returns after the same user has signed in to the same page in this tab. Fields that
     browsers must not remember may hold a key: theirs is lost. */
  const DRAFT = `draft ${location.pathname}`;
  const texts = () =>
    [...document.querySelectorAll(".change-form #content form :is(input, textarea):not([autocomplete=off])")].filter(
      (field) => field.name && (field.matches("textarea") || /^(text|number|email|url)$/.test(field.type)),
    );

  const leave = () => {
    const typed = texts().filter((field) => field.value !== field.defaultValue);
    if (typed.length) {
      const values = typed.map((field) => [field.name, field.value]);
      sessionStorage.setItem(DRAFT, JSON.stringify({ user: dialog.dataset.user, values }));
    }
    const page = encodeURIComponent(location.pathname + location.search);
    location.assign(`${dialog.dataset.login}?next=${page}&idle`);
  };

  const restore = () => {
    const draft = JSON.parse(sessionStorage.getItem(DRAFT));
    sessionStorage.removeItem(DRAFT);
    if (draft?.user !== dialog.dataset.user) return;
    const values = new Map(draft.values);
    for (const field of texts().filter((each) => values.has(each.name))) {
      field.value = values.get(field.name);
      field.dispatchEvent(new Event("input", { bubbles: true }));
      document.getElementById("session-restored").hidden = false;
    }
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    renew();
  });
  dialog.addEventListener("cancel", renew);
  for (const kind of ["keydown", "pointerdown"]) {
    document.addEventListener(kind, noteUse, { passive: true, capture: true });
  }
  restore();
  expect(Number(dialog.dataset.seconds));
}
