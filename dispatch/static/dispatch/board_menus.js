/* Arrow keys in the menus of tasks. */

const STEPS = { ArrowDown: 1, ArrowUp: -1 };

export function watchMenus(board) {
  board.addEventListener("keydown", (event) => {
    const menu = event.target.closest(".menu");
    const items = menu ? [...menu.querySelectorAll("button")] : [];
    const at = items.indexOf(event.target);
    const ends = { Home: 0, End: items.length - 1 };
    const next = STEPS[event.key] ? (at + STEPS[event.key] + items.length) % items.length : ends[event.key];
    if (next === undefined || at < 0) return;
    event.preventDefault();
    items[next].focus();
  });
  // A menu closes once one of its buttons is pressed.
  board.addEventListener("click", (event) => {
    const menu = event.target.closest("button") && event.target.closest(".menu");
    if (menu?.matches(":popover-open")) menu.hidePopover();
  });
}
