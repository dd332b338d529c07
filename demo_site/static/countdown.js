// Counts down the lifetimes on the account page. The page is complete without this script.
// It starts from the time left when the server rendered the page, so a wrong clock in the browser does not matter.

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
const loadedAt = Date.now();

/** Seconds in their two largest units, written as the server writes them: "14 min 32 s". */
export function timeLeft(seconds) {
  let rest = Math.floor(seconds);
  if (rest <= 0) return "expired";
  const first = UNITS.findIndex(([, size]) => rest >= size);
  const words = UNITS.slice(first, first + 2).map(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return `${count} ${unit}`;
  });
  return words.join(" ");
}

function count() {
  for (const element of document.querySelectorAll("[data-left]")) {
    const left = element.dataset.left - (Date.now() - loadedAt) / 1000;
    element.textContent = timeLeft(left);
    document.getElementById(element.dataset.bar).value = Math.max(left, 0);
  }
}

setInterval(count, 1000);
