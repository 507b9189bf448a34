// Runs before the page is painted, so that it never flashes in the other theme.
const chosen = localStorage.getItem("raycctv_theme");
if (chosen) document.documentElement.dataset.theme = chosen;
