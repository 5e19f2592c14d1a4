/* An error for the screen, which has a text for each code. */
export function refusal(code, values = {}) {
  return Object.assign(new Error(code), values, { code });
}
