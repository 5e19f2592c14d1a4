/* The checkboxes of the suggestions, and the buttons for all selected ones. */

export function watchSelection(review) {
  const selectAll = document.getElementById("select-all");
  const selected = document.getElementById("selected");
  const boxes = () => [...review.querySelectorAll(".row:not(.gone, .decided) > input[type=checkbox]")];

  function count() {
    if (!selectAll) return;
    const all = boxes();
    const number = all.filter((box) => box.checked).length;
    selectAll.checked = number > 0 && number === all.length;
    selectAll.indeterminate = number > 0 && number < all.length;
    selectAll.ariaLabel = `Select all ${all.length}`;
    selected.textContent = number ? `${number} selected` : selectAll.ariaLabel;
  }

  review.addEventListener("change", (event) => {
    if (event.target === selectAll) for (const box of boxes()) box.checked = selectAll.checked;
    count();
  });
  if (selectAll) selectAll.hidden = false;
  count();
  return count;
}
